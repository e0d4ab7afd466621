package observe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// trimmer makes records of objects.
type trimmer struct {
	health func(gk model.GroupKind, obj map[string]any) model.HealthFacet
	now    func() time.Time
}

// sections are the parts of an object as bytes.
type sections struct {
	apiVersion, kind, metadata, status []byte
	managedFields                      []byte
	others                             [][2][]byte // key, value
	metaOthers                         [][2][]byte // without managedFields
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
		case "kind":
			s.kind = v
		case "metadata":
			s.metadata = v
		case "status":
			s.status = v
		default:
			s.others = append(s.others, [2][]byte{k, v})
		}
		return nil
	})
	if err != nil || s.metadata == nil {
		return live.Record{}, unreadable(gk, err)
	}
	if !full { // the object is a PartialObjectMetadata of the kind
		s.apiVersion, s.kind = nil, nil
	}
	if s.apiVersion != nil {
		apiVersion = text(s.apiVersion)
	}
	rec := live.Record{Key: model.ObjectKey{Group: gk.Group, Kind: gk.Kind}}
	rec.Version = intern(apiVersion[strings.LastIndexByte(apiVersion, '/')+1:])
	if err := t.metadata(&rec, &s); err != nil {
		return live.Record{}, err
	}
	tracked := rec.TrackingID != ""
	if !full || !tracked && len(rec.Owners) == 0 {
		return rec, nil
	}
	body := s.body(gk, apiVersion)
	t.judge(&rec, body)
	if tracked {
		rec.Body = bytes.Clone(body)
		rec.SpecHash = s.specHash()
		rec.Managers = managers(s.managedFields)
	}
	return rec, nil
}

// identity reads only the metadata of an object, for a deletion.
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
		if string(k) == "managedFields" {
			s.managedFields = v
			return nil
		}
		s.metaOthers = append(s.metaOthers, [2][]byte{k, v})
		switch string(k) {
		case "name":
			rec.Key.Name = text(v)
		case "namespace":
			rec.Key.Namespace = intern(text(v))
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
						owner.Kind = intern(text(v))
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
	if _, key, ok := model.ParseTrackingID(tracking); ok && key == rec.Key {
		rec.TrackingID = tracking
	}
	return nil
}

// judge fills health and facts. A strange object must not take the agent down:
// what cannot be judged is Unknown.
func (t *trimmer) judge(rec *live.Record, body []byte) {
	defer func() {
		if p := recover(); p != nil {
			rec.Health = model.HealthFacet{Status: model.HealthUnknown, Message: fmt.Sprintf("the state of this %s cannot be judged", rec.Key.Kind)}
			rec.Images, rec.Info = nil, nil
		}
	}()
	var obj map[string]any
	if err := utiljson.Unmarshal(body, &obj); err != nil {
		rec.Health = model.HealthFacet{Status: model.HealthUnknown, Message: "the object cannot be read"}
		return
	}
	gk := rec.Key.GroupKind()
	rec.Health = t.health(gk, obj)
	images, info := health.Facts(gk, obj)
	for i, s := range images {
		images[i] = intern(s)
	}
	rec.Images, rec.Info = images, info
}

// body puts the object together without managedFields.
func (s *sections) body(gk model.GroupKind, apiVersion string) []byte {
	var b bytes.Buffer
	b.Grow(len(s.metadata) - len(s.managedFields) + len(s.status) + sizeOf(s.others) + 128)
	b.WriteString(`{"apiVersion":`)
	b.WriteString(strconv.Quote(apiVersion))
	b.WriteString(`,"kind":`)
	b.WriteString(strconv.Quote(gk.Kind))
	b.WriteString(`,"metadata":{`)
	for i, m := range s.metaOthers {
		if i > 0 {
			b.WriteByte(',')
		}
		writeMember(&b, m)
	}
	b.WriteByte('}')
	for _, m := range s.others {
		b.WriteByte(',')
		writeMember(&b, m)
	}
	if s.status != nil {
		b.WriteString(`,"status":`)
		b.Write(s.status)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func sizeOf(ms [][2][]byte) (n int) {
	for _, m := range ms {
		n += len(m[0]) + len(m[1]) + 4
	}
	return n
}

func writeMember(b *bytes.Buffer, m [2][]byte) {
	b.WriteByte('"')
	b.Write(m[0])
	b.WriteString(`":`)
	b.Write(m[1])
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
				m.Manager = intern(text(v))
			case "operation":
				m.Operation = intern(text(v))
			case "subresource":
				m.Subresource = intern(text(v))
			case "time":
				m.Time = timestamp(v)
			case "fieldsV1":
				m.FieldsV1 = bytes.Clone(v)
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
