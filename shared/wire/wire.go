package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// The protocol revisions that this build speaks.
const (
	ProtocolMin uint32 = 1
	ProtocolMax uint32 = 1
)

// MaxMessageBytes bounds one message in either direction.
const MaxMessageBytes = 4 << 20

// What one message may say at most; an honest agent is far below. The hub keeps
// much of it until it is stored, so what is small on the wire must not be large in
// memory.
const (
	// maxKnown applications and operations in a hello.
	maxKnown = 50_000
	// maxWord is the length of what names something, such as a version.
	maxWord = 512
	// maxText is the length of a text for people; longer ones are cut.
	maxText = 16 << 10
	// maxList is how many words a list of a hello or a cluster report may have.
	maxList = 20_000
	// maxObjects is how many JSON objects one document may have: "{}" is three
	// bytes on the wire and some hundred as a resource in a tree.
	maxObjects = MaxMessageBytes / 64
)

// cut shortens a text for people.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// words refuses words that are none.
func words(what string, list ...string) error {
	if len(list) > maxList {
		return invalid("%s has %d entries; %d are allowed", what, len(list), maxList)
	}
	for _, w := range list {
		if len(w) > maxWord {
			return invalid("%s has an entry of %d bytes; %d are allowed", what, len(w), maxWord)
		}
	}
	return nil
}

// objects counts the objects and lists that a JSON document seems to have; those
// inside of strings count too, which makes it no smaller.
func objects(b []byte) int { return bytes.Count(b, []byte{'{'}) + bytes.Count(b, []byte{'['}) }

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "wire_invalid", format, args...)
}

func encodeJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "wire_encode", "a message could not be encoded")
	}
	return b, nil
}

func decodeJSON(b []byte, what string, into any) error {
	if len(b) == 0 {
		return invalid("%s is missing", what)
	}
	if n := objects(b); n > maxObjects {
		return fault.New(fault.TooLarge, "wire_too_large", "%s has %d objects; %d are allowed", what, n, maxObjects)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fault.Wrap(err, fault.Invalid, "wire_invalid", "%s does not decode", what)
	}
	return nil
}

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(ts *timestamppb.Timestamp, what string) (time.Time, error) {
	if ts == nil {
		return time.Time{}, nil
	}
	if err := ts.CheckValid(); err != nil {
		return time.Time{}, fault.Wrap(err, fault.Invalid, "wire_invalid", "%s is not a time", what)
	}
	return ts.AsTime(), nil
}

func timePtrToProto(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func timePtrFromProto(ts *timestamppb.Timestamp, what string) (*time.Time, error) {
	if ts == nil {
		return nil, nil
	}
	t, err := timeFromProto(ts, what)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// EpochToProto translates an epoch; the zero epoch is unset.
func EpochToProto(e model.Epoch) *agentv1.Epoch {
	if e.IsZero() {
		return nil
	}
	return &agentv1.Epoch{Incarnation: e.Incarnation, Number: e.Number}
}

// Epoch translates an epoch; unset is the zero epoch.
func Epoch(p *agentv1.Epoch) (model.Epoch, error) {
	if p == nil {
		return model.Epoch{}, nil
	}
	e := model.Epoch{Incarnation: p.Incarnation, Number: p.Number}
	if e.Incarnation < 0 || e.Number < 0 {
		return model.Epoch{}, invalid("epoch %s is negative", e)
	}
	return e, nil
}

func revisionToProto(r model.Revision) *agentv1.Revision {
	if r.IsZero() {
		return nil
	}
	return &agentv1.Revision{Commit: r.Commit, Message: r.Message, Author: r.Author, CommittedAt: timeToProto(r.CommittedAt), Sources: r.Sources}
}

func revision(p *agentv1.Revision) (model.Revision, error) {
	if p == nil {
		return model.Revision{}, nil
	}
	at, err := timeFromProto(p.CommittedAt, "revision.committed_at")
	if err != nil {
		return model.Revision{}, err
	}
	return model.Revision{Commit: p.Commit, Message: p.Message, Author: p.Author, CommittedAt: at, Sources: p.Sources}, nil
}
