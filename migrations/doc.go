// Package migrations holds the hub's database schema as numbered SQL files and
// brings a database up to the newest one.
//
// Migrations only go forward. A file that was released is never edited; a
// change is a new file. The hub calls Up at start and as `hawser-hub migrate`.
package migrations
