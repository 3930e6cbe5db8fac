/** Vite hands a file's text to tests that run where no file can be read. */
declare module "*.md?raw" {
  const text: string;
  export default text;
}
