// Package search looks for secrets that were planted, in bytes of any kind: as they
// are, in base64 at each of its three offsets (once and twice), in hexadecimal, with
// the escapes of JSON, URLs and HTML, in UTF-16, and within streams of gzip, zlib,
// raw deflate and zstd and runs of base64 and hexadecimal digits, in each other too.
//
// It says where something is; what may be there, its caller says. What is encrypted,
// or compressed in a way that is not named above, it does not see: pglz of Postgres,
// say. Only tests call it.
package search
