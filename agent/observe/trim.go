package observe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// trimmer makes records of objects.
type trimmer struct {
	// override judges before the rules of agent/health do. epoch counts its
	// replacements.
	override atomic.Pointer[health.Override]
	epoch    atomic.Uint64
	// overridden says of which kinds the override has something to say, for each
	// epoch: those are decoded as a whole.
	overridden atomic.Pointer[sync.Map] // of model.GroupKind, bool
}

func (t *trimmer) setOverride(f health.Override) {
	if f == nil {
		t.override.Store(nil)
	} else {
		t.override.Store(&f)
	}
	t.overridden.Store(&sync.Map{})
	t.epoch.Add(1)
}

// parts are the parts of objects of a kind that its judgement needs; nil for all.
// static is true when there is nothing to judge.
func (t *trimmer) parts(gk model.GroupKind) (parts health.Parts, static bool) {
	if known := t.overridden.Load(); known != nil {
		v, ok := known.Load(gk)
		if !ok {
			// Stored where the override was read after, it may be one too new; then
			// the epoch has changed as well, and the object is judged again.
			v = t.evaluator().Overrides(gk)
			known.Store(gk, v)
		}
		if v == true {
			return nil, false
		}
	}
	return health.Reads(gk), health.Static(gk)
}

func (t *trimmer) evaluator() health.Evaluator {
	if f := t.override.Load(); f != nil {
		return health.Evaluator{Override: *f}
	}
	return health.Evaluator{}
}

// sections are the parts of an object as bytes. What is below status is filled by
// details only.
type sections struct {
	apiVersion, metadata []byte
	managedFields        []byte
	status               []byte
	others               [][2][]byte // key, value
	metaOthers           [][2][]byte // without managedFields
}

// details fills what only a body needs.
func (s *sections) details(raw []byte) error {
	err := members(raw, func(k, v []byte) error {
		switch string(k) {
		case "apiVersion", "kind", "metadata":
		case "status":
			s.status = v
		default:
			s.others = append(s.others, [2][]byte{k, v})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return members(s.metadata, func(k, v []byte) error {
		if string(k) != "managedFields" {
			s.metaOthers = append(s.metaOthers, [2][]byte{k, v})
		}
		return nil
	})
}

// kindOf reads the kind of an object.
func kindOf(obj []byte) (model.GroupKind, error) {
	var apiVersion, kind string
	err := members(obj, func(k, v []byte) error {
		switch string(k) {
		case "apiVersion":
			apiVersion = text(v)
		case "kind":
			kind = text(v)
		}
		return nil
	})
	if err != nil || kind == "" {
		return model.GroupKind{}, fault.New(fault.Upstream, "object_unreadable", "the API server answered an object without a kind")
	}
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		group = ""
	}
	return model.GroupKind{Group: group, Kind: kind}, nil
}

// record reads one object of kind gk. apiVersion is used where the object does
// not say its own, as items of lists. full is false when only metadata was
// asked for. raw is not kept.
func (t *trimmer) record(gk model.GroupKind, apiVersion string, raw []byte, full bool) (live.Record, error) {
	var s sections
	err := members(raw, func(k, v []byte) error {
		switch string(k) {
		case "apiVersion":
			s.apiVersion = v
		case "metadata":
			s.metadata = v
		}
		return nil
	})
	if err != nil || s.metadata == nil {
		return live.Record{}, unreadable(gk, err)
	}
	if full && s.apiVersion != nil { // else it is that of PartialObjectMetadata
		apiVersion = internText(s.apiVersion)
	}
	rec := live.Record{Key: model.ObjectKey{Group: gk.Group, Kind: gk.Kind}}
	rec.Version = intern(apiVersion[strings.LastIndexByte(apiVersion, '/')+1:])
	if err := t.metadata(&rec, &s); err != nil {
		return live.Record{}, err
	}
	tracked := rec.TrackingID != ""
	switch {
	case !full:
	case tracked:
		if err := s.details(raw); err != nil {
			return live.Record{}, unreadable(gk, err)
		}
		rec.Body = s.body(gk, apiVersion)
		rec.SpecHash = s.specHash()
		rec.Managers = managers(s.managedFields)
		t.judge(&rec, rec.Body)
	case len(rec.Owners) > 0:
		t.judge(&rec, raw)
	}
	return rec, nil
}

// last reads an object that was deleted: only its metadata, except of hooks,
// whose last state tells how they ended.
func (t *trimmer) last(gk model.GroupKind, apiVersion string, raw []byte, full bool) (live.Record, error) {
	rec, err := t.identity(gk, raw)
	if err != nil || rec.Run == "" || rec.TrackingID == "" {
		return rec, err
	}
	return t.record(gk, apiVersion, raw, full)
}

// identity reads only the metadata of an object.
func (t *trimmer) identity(gk model.GroupKind, raw []byte) (live.Record, error) {
	s := sections{}
	rec := live.Record{Key: model.ObjectKey{Group: gk.Group, Kind: gk.Kind}}
	err := members(raw, func(k, v []byte) error {
		if string(k) == "metadata" {
			s.metadata = v
		}
		return nil
	})
	if err != nil || s.metadata == nil {
		return live.Record{}, unreadable(gk, err)
	}
	err = t.metadata(&rec, &s)
	return rec, err
}

func unreadable(gk model.GroupKind, cause error) error {
	return fault.Wrap(cause, fault.Upstream, "object_unreadable", "the API server answered an object of kind %s that cannot be read", gk)
}

// metadata fills what a record takes from metadata.
func (t *trimmer) metadata(rec *live.Record, s *sections) error {
	var tracking string
	err := members(s.metadata, func(k, v []byte) error {
		switch string(k) {
		case "managedFields":
			s.managedFields = v
		case "name":
			rec.Key.Name = text(v)
		case "namespace":
			rec.Key.Namespace = internText(v)
		case "uid":
			rec.UID = text(v)
		case "resourceVersion":
			rec.ResourceVersion = text(v)
		case "generation":
			rec.Generation, _ = strconv.ParseInt(string(v), 10, 64)
		case "creationTimestamp":
			rec.CreatedAt = timestamp(v)
		case "deletionTimestamp":
			rec.Deleting = text(v) != ""
		case "annotations":
			if string(v) == "null" {
				return nil
			}
			return members(v, func(k, v []byte) error {
				switch string(k) {
				case model.AnnotationTrackingID:
					tracking = text(v)
				case model.AnnotationRun:
					rec.Run = text(v)
				case model.AnnotationIgnoreHC:
					rec.HealthIgnored = text(v) == "true"
				}
				return nil
			})
		case "ownerReferences":
			return elements(v, func(v []byte) error {
				var owner live.Owner
				err := members(v, func(k, v []byte) error {
					switch string(k) {
					case "uid":
						owner.UID = text(v)
					case "kind":
						owner.Kind = internText(v)
					case "name":
						owner.Name = text(v)
					}
					return nil
				})
				if owner.UID != "" {
					rec.Owners = append(rec.Owners, owner)
				}
				return err
			})
		}
		return nil
	})
	if err != nil || rec.Key.Name == "" {
		return unreadable(rec.Key.GroupKind(), err)
	}
	rec.Owners = internOwners(rec.Owners)
	if _, key, ok := model.ParseTrackingID(tracking); ok && key == rec.Key {
		rec.TrackingID = tracking
	}
	return nil
}

// judge fills health and facts. A strange object must not take the agent down:
// what cannot be judged is Unknown.
func (t *trimmer) judge(rec *live.Record, body []byte) { t.judgeAs(rec, body, false) }

// judgeLast judges an object that is gone as if it had not been about to be
// deleted.
func (t *trimmer) judgeLast(rec *live.Record) { t.judgeAs(rec, rec.Body, true) }

func (t *trimmer) judgeAs(rec *live.Record, body []byte, last bool) {
	defer func() {
		if p := recover(); p != nil {
			rec.Health = model.HealthFacet{Status: model.HealthUnknown, Message: fmt.Sprintf("the state of this %s cannot be judged", rec.Key.Kind)}
			rec.Images, rec.Info = nil, nil
		}
	}()
	gk := rec.Key.GroupKind()
	parts, static := t.parts(gk)
	if static && (last || !rec.Deleting) {
		rec.Health = model.HealthFacet{Status: model.HealthHealthy}
		return
	}
	obj, err := decode(body, parts)
	if err != nil {
		rec.Health = model.HealthFacet{Status: model.HealthUnknown, Message: "the object cannot be read"}
		return
	}
	if m, ok := obj["metadata"].(map[string]any); ok && last {
		delete(m, "deletionTimestamp")
	}
	if _, named := obj["kind"]; !named { // items of lists do not repeat it
		obj["apiVersion"], obj["kind"] = apiVersionOf(gk.Group, rec.Version), gk.Kind
	}
	rec.Health = t.evaluator().Of(gk, obj)
	images, info := health.Facts(gk, obj)
	rec.Images, rec.Info = internImages(images), internInfo(info)
}

func apiVersionOf(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

// body puts the object together without managedFields, in as many bytes as it has.
func (s *sections) body(gk model.GroupKind, apiVersion string) []byte {
	head := `{"apiVersion":` + strconv.Quote(apiVersion) + `,"kind":` + strconv.Quote(gk.Kind) + `,"metadata":{`
	const statusKey = `,"status":`
	n := len(head) + sizeOf(s.metaOthers) + len("}}") + sizeOf(s.others)
	if len(s.metaOthers) > 0 {
		n-- // no comma before the first
	}
	if s.status != nil {
		n += len(statusKey) + len(s.status)
	}
	b := append(make([]byte, 0, n), head...)
	for i, m := range s.metaOthers {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMember(b, m)
	}
	b = append(b, '}')
	for _, m := range s.others {
		b = appendMember(append(b, ','), m)
	}
	if s.status != nil {
		b = append(append(b, statusKey...), s.status...)
	}
	return append(b, '}')
}

// sizeOf is the size of members with a comma each.
func sizeOf(ms [][2][]byte) (n int) {
	for _, m := range ms {
		n += len(m[0]) + len(m[1]) + len(`"":,`)
	}
	return n
}

func appendMember(b []byte, m [2][]byte) []byte {
	b = append(append(append(b, '"'), m[0]...), `":`...)
	return append(b, m[1]...)
}

// specHash hashes what the object says, not what the server noted about it.
// The version is left out as well: lists do not repeat it.
func (s *sections) specHash() model.Digest {
	h := sha256.New()
	for _, m := range s.metaOthers {
		switch string(m[0]) {
		case "resourceVersion", "generation", "selfLink":
			continue
		}
		hashMember(h, m)
	}
	h.Write([]byte{0})
	for _, m := range s.others {
		hashMember(h, m)
	}
	return model.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func hashMember(h hash.Hash, m [2][]byte) {
	h.Write(m[0])
	h.Write([]byte{':'})
	h.Write(m[1])
	h.Write([]byte{','})
}

// managers reads managedFields. Entries that cannot be read are left out: they
// only say who changed what.
func managers(raw []byte) (out []live.FieldManager) {
	if raw == nil {
		return nil
	}
	_ = elements(raw, func(v []byte) error {
		var m live.FieldManager
		if members(v, func(k, v []byte) error {
			switch string(k) {
			case "manager":
				m.Manager = internText(v)
			case "operation":
				m.Operation = internText(v)
			case "subresource":
				m.Subresource = internText(v)
			case "time":
				m.Time = timestamp(v)
			case "fieldsV1":
				m.FieldsV1 = fieldSets.get(v)
			}
			return nil
		}) == nil {
			out = append(out, m)
		}
		return nil
	})
	return out
}

func timestamp(v []byte) time.Time {
	t, err := time.Parse(time.RFC3339, text(v))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
