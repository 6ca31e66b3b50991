/** Says hello. */
export function hello() {
  return 'Hello. My author signed every byte of this sentence.';
}
