/** Something made from a value that never changes: once, for as long as the value exists. */
export function oncePer<Value extends object, Made extends string | object>(
  make: (value: Value) => Made,
): (value: Value) => Made {
  const known = new WeakMap<Value, Made>();
  return (value) => {
    const kept = known.get(value);
    if (kept !== undefined) return kept;
    const made = make(value);
    known.set(value, made);
    return made;
  };
}
