// Package events is the change stream of one hub process: a ring of the newest
// events, and readers that each follow it at their own pace.
//
// A reader has no queue of its own, so any number of slow readers cost nothing
// but their place; one that falls out of the ring is told so once and starts
// anew, as does one that resumes with an id of another process or of long ago.
// The stream only says that something changed: the database is the truth, and
// nothing is decided from an event.
//
// A Feed turns "these applications changed" into events with their present rows.
// The package knows no HTTP. hub/app publishes, hub/api serves.
package events
