// Package manifest reads, orders, packs, hashes and redacts Kubernetes
// objects. It is the one place in Hawser where manifest text becomes objects.
//
//   - Parse turns a YAML or JSON file into objects, with the number and key
//     semantics of the Kubernetes decoders and with limits against hostile
//     input. Its errors name file, line and column.
//   - EncodeBundle and DecodeBundle pack the rendered objects of one
//     application under the digest of their content. A bundle is complete or it
//     is an error; there is no partial one.
//   - SortForApply is the order in which objects are written to a cluster.
//   - Redact is the only redaction of Secret values in the product.
//
// It is not a renderer (hub/render reads files and calls Parse), not a schema
// check (the API server does that) and not a diff (agent/diff). It does no I/O,
// starts no goroutine and has no clock. The hub's render workers and the agent
// call it.
//
// Objects are plain values: map[string]any, []any, string, bool, int64,
// float64 and nil. A whole number is always int64 when it fits, also when it
// was written as 1.0, because canonical JSON writes it as 1; so decoding a
// bundle gives exactly the values that were encoded.
package manifest
