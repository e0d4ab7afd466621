package observe

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// entry is one object in the store. Most objects of a cluster are nobody's here:
// their entry holds what tells one object from another, and no record. Those that
// belong to others, as pods do, hold in addition what trees show of them.
type entry struct {
	kind *kindStore
	nsName
	rich  *live.Record // nil for what the rest describes
	owned *ownedPart   // nil for a plain object
	id    [16]byte     // the UID
	// version is the resource version; created is in seconds since 1970, and
	// noTime when it is not known.
	version uint64
	created uint32
	seen    uint32 // sweep that saw it last

	apiVersion uint8 // in kind.versions
	deleting   bool
	ignored    bool // its health
	full       bool // it was made of a whole object
	// ours: the record came from an answer to our own request, at the tick that
	// the store remembers, and the watch has not caught up with it.
	ours bool
	// doubted: what the server says next is taken even if it is what is known.
	doubted bool
}

// ownedPart is what trees show of an object that is not tracked.
type ownedPart struct {
	owners     []live.Owner
	health     model.HealthFacet
	images     []string
	info       []model.Info
	generation int64
}

const noTime = 0 // nothing in a cluster is from 1970

// entriesAtOnce is how many entries are made together: they live long, and one by
// one they would lie among what is garbage soon.
const entriesAtOnce = 64

// entry takes a free entry of the kind.
func (k *kindStore) entry() *entry {
	if len(k.free) == 0 {
		chunk := make([]entry, entriesAtOnce)
		for i := range chunk {
			k.free = append(k.free, &chunk[i])
		}
	}
	e := k.free[len(k.free)-1]
	k.free = k.free[:len(k.free)-1]
	*e = entry{kind: k}
	return e
}

// release gives an entry back that nothing refers to any more.
func (k *kindStore) release(e *entry) {
	*e = entry{}
	k.free = append(k.free, e)
	if k.objects.n == 0 { // so that a kind that was large once is so no longer
		k.free = nil
	}
}

// set makes e the object of a record.
func (e *entry) set(rec live.Record) {
	e.rich, e.owned = nil, nil
	if !e.setSlim(rec) {
		e.rich = &rec
		e.id, e.version = [16]byte{}, 0
	}
}

// setSlim reports whether the record says no more than an entry can hold.
func (e *entry) setSlim(rec live.Record) bool {
	if rec.TrackingID != "" || rec.Run != "" || rec.SpecHash != "" || rec.Body != nil || rec.Managers != nil {
		return false
	}
	id, ok := parseUID(rec.UID)
	version, isNumber := parseVersion(rec.ResourceVersion)
	if !ok || !isNumber {
		return false
	}
	created := int64(noTime)
	if !rec.CreatedAt.IsZero() {
		created = rec.CreatedAt.Unix()
		if created <= noTime || created > math.MaxUint32 || rec.CreatedAt.Nanosecond() != 0 {
			return false
		}
	}
	api, known := e.kind.versionIndex(rec.Version)
	if !known {
		return false
	}
	if len(rec.Owners) > 0 || rec.Health != (model.HealthFacet{}) || rec.Images != nil || rec.Info != nil || rec.Generation != 0 {
		e.owned = &ownedPart{owners: rec.Owners, health: rec.Health, images: rec.Images, info: rec.Info, generation: rec.Generation}
	}
	e.id, e.version, e.apiVersion, e.created = id, version, api, uint32(created)
	e.deleting, e.ignored = rec.Deleting, rec.HealthIgnored
	return true
}

// record is what readers see.
func (e *entry) record() live.Record {
	if e.rich != nil {
		return *e.rich
	}
	rec := live.Record{
		Key: e.key(), Version: e.kind.versions[e.apiVersion], UID: formatUID(e.id), ResourceVersion: strconv.FormatUint(e.version, 10),
		Deleting: e.deleting, HealthIgnored: e.ignored,
	}
	if e.created != noTime {
		rec.CreatedAt = time.Unix(int64(e.created), 0).UTC()
	}
	if o := e.owned; o != nil {
		rec.Owners, rec.Health, rec.Images, rec.Info, rec.Generation = o.owners, o.health, o.images, o.info, o.generation
	}
	return rec
}

// uid is that of the record.
func (e *entry) uid() string {
	if e.rich != nil {
		return e.rich.UID
	}
	return formatUID(e.id)
}

// app is the application that the object's tracking id names, if any.
func (e *entry) app() string {
	if e.rich == nil {
		return ""
	}
	return appOf(*e.rich)
}

// owners of the object.
func (e *entry) owners() []live.Owner {
	switch {
	case e.rich != nil:
		return e.rich.Owners
	case e.owned != nil:
		return e.owned.owners
	}
	return nil
}

// judged reports whether the object has a health.
func (e *entry) judged() bool {
	return e.rich != nil && e.rich.Health.Status != "" || e.owned != nil && e.owned.health.Status != ""
}

func (e *entry) key() model.ObjectKey {
	return model.ObjectKey{Group: e.kind.gk.Group, Kind: e.kind.gk.Kind, Namespace: e.namespace, Name: e.name}
}

// resourceVersion is that of the record.
func (e *entry) resourceVersion() string {
	if e.rich != nil {
		return e.rich.ResourceVersion
	}
	return strconv.FormatUint(e.version, 10)
}

// is reports whether the entry is the object of the record, in the same version.
func (e *entry) is(rec live.Record) bool {
	if e.rich != nil {
		return e.rich.UID == rec.UID && e.rich.ResourceVersion == rec.ResourceVersion
	}
	id, ok := parseUID(rec.UID)
	version, isNumber := parseVersion(rec.ResourceVersion)
	return ok && isNumber && id == e.id && version == e.version
}

// versionIndex finds a version of the API among those that objects of the kind
// have had.
func (k *kindStore) versionIndex(v string) (uint8, bool) {
	for i, have := range k.versions {
		if have == v {
			return uint8(i), true
		}
	}
	if len(k.versions) > 255 {
		return 0, false
	}
	k.versions = append(k.versions, v)
	return uint8(len(k.versions) - 1), true
}

// uidKey is a UID as a key, so that indexes do not hold it as text once more: its
// bytes, or a digest where it has not the usual form.
type uidKey [16]byte

func keyOfUID(uid string) uidKey {
	if id, ok := parseUID(uid); ok {
		return id
	}
	sum := sha256.Sum256([]byte(uid))
	return uidKey(sum[:16])
}

// parseUID reads a UUID in the form in which the API server writes it.
func parseUID(s string) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	n := 0
	for i := 0; i < len(s); {
		if s[i] == '-' {
			i++
			continue
		}
		hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
		if hi > 15 || lo > 15 {
			return id, false
		}
		id[n] = hi<<4 | lo
		n, i = n+1, i+2
	}
	return id, true
}

// hexDigit is more than 15 for what is none. Upper case is none, as formatUID
// would not give it back.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

func formatUID(id [16]byte) string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// parseVersion reads a resource version that is a number, as it would be written.
func parseVersion(s string) (uint64, bool) {
	if !isNumber(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
