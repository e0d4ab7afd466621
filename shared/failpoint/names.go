package failpoint

import (
	"maps"
	"slices"
)

// points are all the points, each with what has and what has not happened there.
// A function, so that nothing of it is in a program that does not ask.
func points() map[string]string {
	return map[string]string{
		"app.lease.acquired":               "the Lease is held, the journal is not read",
		"app.journal.opened":               "the journal is read, nothing of it is acted on",
		"journal.write.before":             "a Secret of the journal is encoded and not sent",
		"journal.write.after":              "a Secret of the journal is stored; what was to be written with it is not",
		"journal.flight.before":            "all that was due is stored, and nobody was told",
		"journal.collect.before":           "a bundle is named by nothing any more and not deleted",
		"kube.request.before":              "a request about an object is made and not sent",
		"kube.request.after":               "the API server has answered it, and nobody has seen the answer",
		"link.hello.sent":                  "the hello is sent, its welcome is not read",
		"link.ack.before":                  "an acknowledgement of a desired state is not sent",
		"link.ack.after":                   "an acknowledgement of a desired state is sent",
		"link.operation.before":            "a word on an operation is not sent",
		"link.operation.after":             "a word on an operation is sent",
		"link.report.before":               "reports are built and not sent",
		"link.report.after":                "reports are sent",
		"sync.apply.before":                "an object is due, the request is not made",
		"sync.apply.after":                 "an object is applied, and neither journal nor memory know",
		"sync.stage.ended":                 "the objects of a stage are applied, the next has not begun",
		"sync.wave.ended":                  "a wave is healthy, the next wave or phase has not begun",
		"sync.prune.before":                "an object is to be pruned, and is not deleted",
		"sync.prune.after":                 "the delete of a pruned object is accepted, and nobody knows",
		"sync.hook.clear.before":           "the hook of an older run stands in the way and is not deleted",
		"sync.hook.clear.after":            "its delete is accepted, the new hook is not created",
		"sync.hook.create.before":          "a hook is due and not created",
		"sync.hook.create.after":           "a hook is created, and neither journal nor memory know",
		"sync.hook.finished":               "a hook was seen to have ended, which nothing records",
		"sync.hook.settled":                "the ends of hooks are durable, and none is deleted",
		"sync.hook.delete.before":          "a hook whose time is over is not deleted",
		"sync.hook.delete.after":           "its delete is accepted",
		"reconcile.hook.booked":            "the end of a hook is in the book and not durable",
		"reconcile.desired.booked":         "a desired state is in the book and not durable",
		"reconcile.desired.durable":        "a desired state is durable and not acknowledged",
		"reconcile.operation.booked":       "an operation is in the book and not durable",
		"reconcile.withdraw.booked":        "a withdrawal is in the book and not durable",
		"reconcile.update.durable":         "what became of an operation is durable and not told",
		"reconcile.run.begins":             "what a run intends is durable, and nothing is done",
		"reconcile.run.ended":              "a run has ended, and nothing of it is recorded",
		"reconcile.auto.booked":            "an automated sync is in the book and not durable",
		"reconcile.heal.before":            "drift is about to be healed",
		"reconcile.heal.after":             "drift is healed, and nothing of it is recorded",
		"reconcile.finish.booked":          "an operation's end is in the book and not durable",
		"reconcile.action.before":          "an action knows what to change and has not",
		"reconcile.action.after":           "an action has changed the object, and nothing of it is recorded",
		"reconcile.withdraw.delete.before": "an object of a cascade is due and not deleted",
		"reconcile.withdraw.delete.after":  "its delete is accepted",
		"reconcile.withdraw.complete":      "all of a withdrawal is done, and the book does not say so",
	}
}

// Names lists all points, sorted.
func Names() []string { return slices.Sorted(maps.Keys(points())) }

// About says what has and what has not happened at a point, "" for no point.
func About(name string) string { return points()[name] }
