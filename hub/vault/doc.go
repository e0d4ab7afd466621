// Package vault seals what may not lie in the database in the clear: keys,
// credentials of repositories, rendered bundles.
//
// It is AES-256-GCM (Tink). The associated data says where a value belongs
// (table, column, row), so that a sealed value that was copied to another row
// does not open; each sealed value begins with the version of its key, so that
// keys can be added while old values stay readable.
//
// It is not a store of secrets: it keeps nothing but the key. hub/app loads one
// Box and gives it to hub/store.
package vault
