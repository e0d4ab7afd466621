package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Bug is a mistake that can be built into the simulator's wiring, to see that
// the checker finds it.
type Bug string

// The bugs.
const (
	NoBug             Bug = ""
	IgnoreEpoch       Bug = "ignore epochs at the agent"
	HubIgnoresEpoch   Bug = "ignore epochs at the hub"
	PruneIncomplete   Bug = "take a bundle that is not complete"
	ForgetTombstones  Bug = "forget tombstones"
	AckBeforeDurable  Bug = "acknowledge before durable"
	NoLease           Bug = "no lease before effects"
	ErrorIsEmpty      Bug = "take a Git error for an empty directory"
	IgnoreGuard       Bug = "ignore the prune guard"
	ForgetEnds        Bug = "forget an operation's end before it is acknowledged"
	AnswerFirst       Bug = "answer before commit"
	BeatUnstored      Bug = "let a heartbeat confirm what is not stored"
	CrossTalk         Bug = "send to the wrong cluster"
	AbsenceWithdraws  Bug = "withdraw what the hub does not list"
	IgnoreHold        Bug = "prune while deletes are held"
	ForgetOpSeq       Bug = "forget operation numbers"
	IgnoreUIDs        Bug = "delete without comparing uids"
	SendWhatWasRead   Bug = "send what was read before it was stored as Sent"
	SentAfterDelivery Bug = "store Sent after sending"
)

// Config of one run.
type Config struct {
	Seed  uint64
	Bug   Bug
	Trace func(string) // nil: none
	// Faults lasts this long; then the world comes to rest. 0: 240 s.
	Faults time.Duration
}

const rest = 300 * time.Second

type task struct {
	at  time.Duration
	seq int
	fn  func()
}

type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].seq < t[j].seq
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any     { o := *t; x := o[len(o)-1]; *t = o[:len(o)-1]; return x }

type world struct {
	cfg    Config
	rng    *rand.Rand
	now    time.Duration
	queue  tasks
	seq    int
	ids    int
	events []Event
	faulty bool // faults are allowed

	git       *git
	db        *database
	hub       *hub
	clusters  []*cluster
	snapshots []snapshot
	client    *client
}

var epochStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *world) clock() time.Time { return epochStart.Add(w.now) }

func (w *world) since(t time.Time) time.Duration { return t.Sub(epochStart) }

func (w *world) after(d time.Duration, fn func()) {
	w.seq++
	heap.Push(&w.queue, task{at: w.now + d, seq: w.seq, fn: fn})
}

// between draws a duration.
func (w *world) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// mishap is a chance that exists only while faults are allowed.
func (w *world) mishap(p float64) bool { return w.faulty && w.rng.Float64() < p }

func (w *world) id(prefix string) string {
	w.ids++
	return fmt.Sprintf("%s%d", prefix, w.ids)
}

func (w *world) record(e Event) {
	e.At = w.now
	w.events = append(w.events, e)
	w.trace(e)
}

func (w *world) trace(v fmt.Stringer) {
	if w.cfg.Trace != nil {
		w.cfg.Trace(v.String())
	}
}

func (w *world) tracef(format string, args ...any) {
	if w.cfg.Trace != nil {
		w.cfg.Trace(fmt.Sprintf("%9.3fs   ", w.now.Seconds()) + fmt.Sprintf(format, args...))
	}
}

func (w *world) bug(b Bug) bool { return w.cfg.Bug == b }

// Run simulates one seed and returns what happened.
func Run(cfg Config) History {
	if cfg.Faults == 0 {
		cfg.Faults = 240 * time.Second
	}
	w := &world{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15)), faulty: true}
	w.git = newGit(w)
	w.db = newDatabase()
	for _, id := range []model.ClusterID{"eu", "us"} {
		w.clusters = append(w.clusters, newCluster(w, id))
	}
	w.client = newClient(w)
	w.startHub()
	for _, c := range w.clusters {
		c.startAgent()
	}
	w.client.begin()
	w.faultLoop()
	w.after(cfg.Faults, w.endFaults)
	end := cfg.Faults + rest
	for len(w.queue) > 0 {
		t := heap.Pop(&w.queue).(task)
		if t.at > end {
			break
		}
		w.now = t.at
		t.fn()
	}
	w.now = end
	return History{Events: w.events, Final: w.final()}
}
