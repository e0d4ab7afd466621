package sim

import (
	"encoding/json"
	"maps"
	"sort"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	agentsync "github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
)

// cluster is one API server: objects, the agent's journal and its lease.
type cluster struct {
	w       *world
	id      model.ClusterID
	objects map[model.ObjectKey]*object
	// blind: the agents cannot tell what exists, as when a watch is broken.
	blind bool

	lease struct {
		holder string
		until  time.Duration
	}
	journal struct {
		version int
		head    []byte
		records map[model.AppUID][]byte
		bundles map[model.Digest]Objects
	}
	agents []*agent // every process that was started, the last ones alive
}

type object struct {
	uid      string
	content  string
	tracking string
	applied  bool // our field manager is in its managed fields
	// deleting: finalizers keep it for a while.
	deleting bool
}

func newCluster(w *world, id model.ClusterID) *cluster {
	c := &cluster{w: w, id: id, objects: map[model.ObjectKey]*object{}}
	c.journal.records = map[model.AppUID][]byte{}
	c.journal.bundles = map[model.Digest]Objects{}
	return c
}

func (c *cluster) alive() []*agent {
	var out []*agent
	for _, a := range c.agents {
		if a.alive {
			out = append(out, a)
		}
	}
	return out
}

// changed tells the agents that objects moved, as watches do.
func (c *cluster) changed() {
	for _, a := range c.alive() {
		a.kickAll()
	}
}

func (c *cluster) liveFacts() map[model.ObjectKey]agentsync.LiveObject {
	out := make(map[model.ObjectKey]agentsync.LiveObject, len(c.objects))
	for k, o := range c.objects {
		out[k] = agentsync.LiveObject{Presence: live.Present, UID: o.uid, TrackingID: o.tracking, Deleting: o.deleting, NotApplied: !o.applied}
	}
	return out
}

// look answers what an agent knows of these objects.
func (c *cluster) look(keys []model.ObjectKey) map[model.ObjectKey]agentsync.LiveObject {
	out := make(map[model.ObjectKey]agentsync.LiveObject, len(keys))
	if c.blind {
		return out
	}
	facts := c.liveFacts()
	for _, k := range keys {
		if l, ok := facts[k]; ok {
			out[k] = l
		} else {
			out[k] = agentsync.LiveObject{Presence: live.Absent}
		}
	}
	return out
}

func ownerOf(tracking string) string {
	name, _, _ := model.ParseTrackingID(tracking)
	return name
}

// userChange is somebody else's hand in the cluster.
func (c *cluster) userChange() {
	w := c.w
	var keys []model.ObjectKey
	for k := range c.objects {
		keys = append(keys, k)
	}
	sortKeys(keys)
	if len(keys) == 0 {
		return
	}
	k := keys[w.rng.IntN(len(keys))]
	o := c.objects[k]
	switch w.rng.IntN(4) {
	case 0: // delete
		delete(c.objects, k)
		w.record(Event{Kind: UserErase, Cluster: c.id, Key: k, UID: o.uid})
	case 1: // delete, and make another without our mark
		delete(c.objects, k)
		w.record(Event{Kind: UserErase, Cluster: c.id, Key: k, UID: o.uid})
		fresh := &object{uid: w.id("uid"), content: w.id("foreign")}
		if w.chance(0.5) { // a copy keeps the annotation
			fresh.tracking = o.tracking
		}
		c.objects[k] = fresh
		w.record(Event{Kind: UserWrite, Cluster: c.id, Key: k, UID: fresh.uid, Content: fresh.content, Owner: ownerOf(fresh.tracking)})
	default:
		o.content = w.id("drift")
		w.record(Event{Kind: UserWrite, Cluster: c.id, Key: k, UID: o.uid, Content: o.content, Owner: ownerOf(o.tracking)})
	}
	c.changed()
}

// write is a journal write with its precondition. It fails when somebody else
// wrote since.
func (c *cluster) writeHead(version int, head []byte) bool {
	if c.journal.version != version {
		return false
	}
	c.journal.version++
	c.journal.head = head
	return true
}

func (c *cluster) writeRecords(version int, records map[model.AppUID][]byte) bool {
	if c.journal.version != version {
		return false
	}
	c.journal.version++
	for uid, b := range records {
		if b == nil {
			delete(c.journal.records, uid)
		} else {
			c.journal.records[uid] = b
		}
	}
	return true
}

// load reads the journal and claims it: a process that wrote it before can
// write no more.
func (c *cluster) load() (*journal.Book, int) {
	b := journal.New()
	if c.journal.head != nil {
		mustDecode(c.journal.head, &b.Head)
	}
	for uid, raw := range maps.All(c.journal.records) {
		var r journal.Record
		mustDecode(raw, &r)
		b.Apps[uid] = &r
	}
	c.journal.version++
	return b, c.journal.version
}

func mustDecode(raw []byte, into any) {
	if err := json.Unmarshal(raw, into); err != nil {
		panic("sim: the journal does not decode: " + err.Error())
	}
}

func mustEncode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sim: the journal does not encode: " + err.Error())
	}
	return b
}

func sortedUIDs[V any](m map[model.AppUID]V) []model.AppUID {
	out := make([]model.AppUID, 0, len(m))
	for uid := range m {
		out = append(out, uid)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}
