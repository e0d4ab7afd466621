package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"
)

// Line is one line of an export: the first is its Begin, the last its End, and
// those between are records, the oldest first.
type Line struct {
	Begin *Begin `json:"begin,omitempty"`
	*Signed
	End *End `json:"end,omitempty"`
}

// Begin is the first line of an export.
type Begin struct {
	HubID string `json:"hubID"`
	// Key that the first record is signed with. Records of the kind Handover name
	// later ones; a filtered export has those that are between its records too.
	Key Hex `json:"key"`
	// Filtered: records are left out that are not asked for, so that no chain can
	// be followed.
	Filtered bool `json:"filtered,omitempty"`
}

// End is the last line of an export; one without was cut.
type End struct {
	Records int64 `json:"records"`
	// Problem is why the export ended early.
	Problem string `json:"problem,omitempty"`
}

// Head is the newest record of a chain, as somebody knew it at some time.
type Head struct {
	Seq  int64 `json:"seq"`
	Hash Hex   `json:"hash"`
}

// String is what ParseHead reads.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// Bad is the first record that is not right.
type Bad struct {
	Seq    int64
	Reason string
}

func (b *Bad) Error() string { return fmt.Sprintf("record %d: %s", b.Seq, b.Reason) }

// Summary is what was verified.
type Summary struct {
	Records int64      `json:"records"`
	First   int64      `json:"first"`
	From    *time.Time `json:"from,omitempty"`
	To      *time.Time `json:"to,omitempty"`
	Head    Head       `json:"head"`
	// Key that the newest record is signed with.
	Key Hex `json:"key"`
	// Handovers are the numbers of the records in which a key names the next one.
	Handovers []int64 `json:"handovers,omitempty"`
	// Filtered: only the signatures could be verified.
	Filtered bool `json:"filtered,omitempty"`
	// ClockBack is how many records have an earlier time than the one before.
	ClockBack int64 `json:"clockBack"`
	// Suppressed is how many, mostly refusals, have no record of their own.
	Suppressed int64 `json:"suppressed"`
	// Alarms are the numbers of records in which a hub says that the chain was cut.
	Alarms []int64 `json:"alarms,omitempty"`
}

// Verifier follows an export line by line. It belongs to one goroutine. After an
// error there is no use in going on.
type Verifier struct {
	// Key that is to be a signer's; nil: the export's own are believed. Records before
	// the first of this key are vouched for by the hash that it has of them; in a
	// filtered export, which has no such hashes, the first record must be of this key.
	Key ed25519.PublicKey
	// Heads that the chain must contain.
	Heads []Head

	begun, ended bool
	sum          Summary
	last         time.Time
	signer       ed25519.PublicKey // of the next record
	met          bool              // a record of Key was there
	anchor       *Head             // what comes before the first record
}

// Line takes the next line. Its error is a *Bad when a record is wrong.
func (v *Verifier) Line(text []byte) error {
	var l Line
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("line %d is not of an audit export: %w", v.sum.Records+1, err)
	}
	switch {
	case v.ended:
		return fmt.Errorf("something follows the end of the export")
	case !v.begun && l.Begin == nil || v.begun && l.Begin != nil:
		return fmt.Errorf("an audit export begins with one line that names its key")
	case l.Begin != nil:
		v.begun, v.sum.Filtered = true, l.Begin.Filtered
		v.sum.Key, v.signer = l.Begin.Key, ed25519.PublicKey(l.Begin.Key)
		if len(v.signer) != ed25519.PublicKeySize {
			return fmt.Errorf("an audit export begins with one line that names its key")
		}
		if v.Key != nil && v.sum.Filtered && !bytes.Equal(v.Key, v.signer) {
			return fmt.Errorf("the filtered export begins with the key %s, not with %s", l.Begin.Key, Hex(v.Key))
		}
		return nil
	case l.End != nil:
		v.ended = true
		if l.End.Problem != "" {
			return fmt.Errorf("the export ended early: %s", l.End.Problem)
		}
		if l.End.Records != v.sum.Records {
			return fmt.Errorf("the export says that it has %d records, and has %d", l.End.Records, v.sum.Records)
		}
		return nil
	case l.Signed == nil:
		return fmt.Errorf("a line is neither a record nor an end")
	}
	return v.record(*l.Signed)
}

func (v *Verifier) record(s Signed) error {
	var r Record
	next := v.sum.Head.Seq + 1
	if err := json.Unmarshal(s.Record, &r); err != nil {
		return &Bad{next, "it cannot be read"}
	}
	first := v.sum.Records == 0
	switch {
	case !bytes.Equal(HashOf(s.Record), s.Hash):
		return &Bad{r.Seq, "it was changed: its hash is another"}
	case !s.Valid(v.signer):
		return &Bad{r.Seq, "its signature is not of this hub's key"}
	case first, v.sum.Filtered && r.Seq >= next:
	case r.Seq > next:
		return &Bad{next, fmt.Sprintf("it is missing; the next that is there is %d", r.Seq)}
	case r.Seq < next:
		return &Bad{r.Seq, fmt.Sprintf("it comes again after %d", next-1)}
	case r.Prev != v.sum.Head.Hash.String():
		return &Bad{r.Seq, fmt.Sprintf("record %d before it is not the one that it followed", r.Seq-1)}
	}
	if first {
		v.sum.First, v.sum.From = r.Seq, &r.At
		if r.Seq > 1 {
			prev := Hex{}
			if err := prev.UnmarshalText([]byte(r.Prev)); err != nil {
				return &Bad{r.Seq, "what it followed cannot be read"}
			}
			v.anchor = &Head{r.Seq - 1, prev}
		}
	}
	if !first && r.At.Before(v.last) {
		v.sum.ClockBack++
	}
	if r.Kind == Retired && v.anchor != nil && r.Through == v.anchor.Seq && r.ThroughHash == v.anchor.Hash.String() {
		v.anchor = nil
	}
	v.met = v.met || bytes.Equal(v.Key, v.signer)
	v.sum.Key = Hex(v.signer)
	if r.Kind == Handover && r.NextKey != "" {
		var next Hex
		if err := next.UnmarshalText([]byte(r.NextKey)); err != nil || len(next) != ed25519.PublicKeySize {
			return &Bad{r.Seq, "the key that it hands over to cannot be read"}
		}
		v.signer, v.sum.Handovers = ed25519.PublicKey(next), append(v.sum.Handovers, r.Seq)
	}
	if r.Kind == Alarm {
		v.sum.Alarms = append(v.sum.Alarms, r.Seq)
	}
	for _, h := range v.Heads {
		if h.Seq == r.Seq && !bytes.Equal(h.Hash, s.Hash) {
			return &Bad{r.Seq, "it is another than the head that you know"}
		}
	}
	v.last = r.At
	v.sum.Records++
	v.sum.Suppressed += r.Suppressed
	v.sum.Head, v.sum.To = Head{r.Seq, s.Hash}, &r.At
	return nil
}

// Done is the verdict after the last line.
func (v *Verifier) Done() (Summary, error) {
	if !v.ended {
		return v.sum, fmt.Errorf("the export was cut: its last line is missing")
	}
	if v.Key != nil && !v.met && (v.sum.Records > 0 || !bytes.Equal(v.Key, v.sum.Key)) {
		return v.sum, fmt.Errorf("no record is of the key %s: the newest is of %s", Hex(v.Key), v.sum.Key)
	}
	if v.sum.Filtered {
		return v.sum, nil
	}
	if v.anchor != nil {
		return v.sum, &Bad{v.anchor.Seq, fmt.Sprintf("it is missing, with all before it, and no later record says that they were retired; the first that is there is %d", v.sum.First)}
	}
	for _, h := range v.Heads {
		if h.Seq > v.sum.Head.Seq {
			return v.sum, &Bad{v.sum.Head.Seq + 1, fmt.Sprintf("it is missing, with all after it up to the head %d that you know", h.Seq)}
		}
	}
	return v.sum, nil
}

// ParseHead reads SEQ:HASH.
func ParseHead(s string) (Head, error) {
	var h Head
	var text string
	if _, err := fmt.Sscanf(s, "%d:%s", &h.Seq, &text); err != nil || h.Seq < 1 || h.Hash.UnmarshalText([]byte(text)) != nil || len(h.Hash) != 32 {
		return Head{}, fmt.Errorf("%q is not NUMBER:HASH", s)
	}
	return h, nil
}
