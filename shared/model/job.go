package model

import (
	"encoding/json"
	"time"
)

// JobKind is the command that a job gives to many applications.
type JobKind string

// The kinds of jobs.
const (
	JobSync     JobKind = "sync"
	JobRefresh  JobKind = "refresh"
	JobRollback JobKind = "rollback"
	JobDelete   JobKind = "delete"
	JobAction   JobKind = "action"
)

// JobPhase is where a job is in its life.
type JobPhase string

// The phases of a job.
const (
	JobRunning   JobPhase = "Running"
	JobFinished  JobPhase = "Finished" // every item was done or refused
	JobCancelled JobPhase = "Cancelled"
)

// JobItemPhase is what became of one application of a job.
type JobItemPhase string

// The phases of an item. Accepted: the hub has taken the command; when it is an
// operation, that says how it goes on.
const (
	ItemPending   JobItemPhase = "Pending"
	ItemAccepted  JobItemPhase = "Accepted"
	ItemFailed    JobItemPhase = "Failed"
	ItemCancelled JobItemPhase = "Cancelled"
)

// MaxJobItems bounds the applications of one job.
const MaxJobItems = 10_000

// JobRequest asks for a command to many applications.
type JobRequest struct {
	Kind JobKind `json:"kind"`
	// Applications by name. Instead of them, Project, Cluster, Selector and Filter
	// say which of those that the caller sees are meant; all that are given must fit.
	Applications []string `json:"applications,omitempty"`
	Project      string   `json:"project,omitempty"`
	Cluster      string   `json:"cluster,omitempty"`
	// Selector of labels, as kubectl takes it.
	Selector string `json:"selector,omitempty"`
	// Filter in the language of lists, as in "health:degraded env:prod".
	Filter string `json:"filter,omitempty"`
	// Spec is the body of the command to one application: that of sync, rollback
	// or actions; for a delete cascade, propagation and approveDeletions; for a
	// refresh hard.
	Spec json.RawMessage `json:"spec,omitempty" shape:"object"`
}

// Job is a command to many applications.
type Job struct {
	ID   string          `json:"id"`
	Kind JobKind         `json:"kind"`
	Spec json.RawMessage `json:"spec,omitempty" shape:"object"`
	// DryRun: the commands only say what they would do, and nothing is changed.
	DryRun      bool     `json:"dryRun,omitempty"`
	Phase       JobPhase `json:"phase"`
	InitiatedBy string   `json:"initiatedBy"`
	// Token is the API token that it was submitted with; its items may do what that
	// may do when their turn comes.
	Token      string     `json:"-"`
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// CancelledBy stopped it; what was accepted by then goes on.
	CancelledBy string `json:"cancelledBy,omitempty"`
	// Counts of the items.
	Total     int `json:"total"`
	Pending   int `json:"pending"`
	Accepted  int `json:"accepted"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// JobItem is one application of a job.
type JobItem struct {
	// Number rises by one from 1 in the order of the request.
	Number      int          `json:"number"`
	Application string       `json:"application"`
	Phase       JobItemPhase `json:"phase"`
	// Operation that came of it, and how far that is; left out for a refresh.
	Operation      OperationID    `json:"operation,omitempty"`
	OperationPhase OperationPhase `json:"operationPhase,omitempty"`
	// DryRun: Changes are what would be done, and nothing was.
	DryRun bool `json:"dryRun,omitempty"`
	// Changes are the objects that the operation has dealt with, by what became of
	// them (ResourceResult.Status).
	Changes map[string]int `json:"changes,omitempty"`
	// Code, ID and Message say why it failed.
	Code       string     `json:"code,omitempty"`
	ID         string     `json:"id,omitempty"`
	Message    string     `json:"message,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}
