// Puts the namespace in front of what workerd asks of a KV service, and the token on it.
export default {
  fetch(request, { STARLING, NAMESPACE, TOKEN }) {
    const { pathname, search } = new URL(request.url);
    // Any loopback name will do: the service STARLING knows the address.
    const url = `http://localhost/v1/workerd-kv/${NAMESPACE}${pathname}${search}`;
    const forwarded = new Request(url, request);
    if (TOKEN !== undefined) forwarded.headers.set("Authorization", `Bearer ${TOKEN}`);
    return STARLING.fetch(forwarded);
  },
};
