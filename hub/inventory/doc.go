// Package inventory holds in memory what lists, facets and counts of the whole
// fleet are answered from: a row of every application, every cluster with its
// lease, every project.
//
// The database is the truth. The index reads all rows when the hub starts,
// again from time to time, and at once after an outage, because another replica
// or a restore may have written. In between it reads what this hub itself has
// changed: the feed of events reads through AppViews, so that whoever hears of a
// change finds it; Written takes what the API has acknowledged, and no list is
// answered before that is read. While the database
// is away lists are answered from what is known, with its age.
//
// Freshness is never stored. It is computed, when a list is made and for those of
// the next quarter of a second, from the last sign of life of each cluster and the
// report that it confirmed; what is stale is in no sum of what is healthy.
//
// A page of a list is not made twice while what its reader sees stays as it is: it is
// kept under the name of that state, on which hubs agree, see Pages.
//
// Readers get immutable snapshots and never wait for a writer, but for the rows
// that were acknowledged to somebody. The package knows no HTTP and no SQL; who
// sees what it is told with each question. hub/app makes it, hub/api asks it.
package inventory
