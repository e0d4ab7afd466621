package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what a record is about.
type Kind string

// The kinds.
const (
	// Command is something that somebody asked for and was let in with, and its
	// outcome.
	Command Kind = "command"
	// Refusal is something that somebody asked for and was not let in with.
	Refusal Kind = "refusal"
	// Begun is a command that goes on, such as one in a container; its Command
	// record follows when it ends.
	Begun Kind = "begun"
	// Effect is how an operation, that a command asked for, ended in its cluster.
	Effect Kind = "effect"
	// Retired says that the records of a month were removed because of their age.
	Retired Kind = "retired"
	// Alarm says that the chain is not as the hub left it.
	Alarm Kind = "alarm"
	// Handover names the key that signs what comes after it, in NextKey; it is the
	// last that Key signs. One without NextKey is the first that Key signs.
	Handover Kind = "handover"
)

// Outcome is what came of it.
type Outcome string

// The outcomes.
const (
	Done Outcome = "done"
	// Denied: the caller may not, or is nobody.
	Denied Outcome = "denied"
	// Rejected: the request was wrong, or not possible then.
	Rejected Outcome = "rejected"
	// Failed: something else went wrong.
	Failed Outcome = "failed"
	// Unknown: the hub was killed before it could tell.
	Unknown Outcome = "unknown"
)

// Kinds and Outcomes list them all.
func Kinds() []Kind { return []Kind{Command, Refusal, Begun, Effect, Retired, Alarm, Handover} }

// Outcomes lists all outcomes.
func Outcomes() []Outcome { return []Outcome{Done, Denied, Rejected, Failed, Unknown} }

// Record is one entry of the chain. It never holds a secret: of what a request
// brought there are the names of its fields and a keyed digest.
type Record struct {
	// Seq counts from 1 without a gap, whatever the clock says.
	Seq int64 `json:"seq"`
	// Prev is the hash of the record before, in hexadecimal; "" in the first.
	Prev string `json:"prev"`
	// At is the database's clock.
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	// Actor is the name of who did it, ActorID of the token or session, "" for who
	// was not logged in. From is the address of the connection, or "job".
	Actor   string `json:"actor,omitempty"`
	ActorID string `json:"actorID,omitempty"`
	From    string `json:"from,omitempty"`
	// Provider and Subject are who a login is about, as far as that was known: the
	// identity provider ("local" for the hub's own users) and who it is there.
	Provider string `json:"provider,omitempty"`
	Subject  string `json:"subject,omitempty"`
	// Action is the operation of the API, such as syncApplication.
	Action string `json:"action"`
	// Verb is done to Resource, which is a kind of thing, in Project; Name is the thing.
	Verb     string `json:"verb,omitempty"`
	Resource string `json:"resource,omitempty"`
	Project  string `json:"project,omitempty"`
	Name     string `json:"name,omitempty"`
	Cluster  string `json:"cluster,omitempty"`
	// Outcome with the HTTP status and the code of what was refused.
	Outcome Outcome `json:"outcome"`
	Status  int     `json:"status,omitempty"`
	Code    string  `json:"code,omitempty"`
	// Request is the request's id, and Operation that of the operation or job that
	// came of it: the Effect has the same.
	Request   string `json:"request,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Reason is the caller's own, or what is to be known of an outcome.
	Reason string `json:"reason,omitempty"`
	// DryRun: it was only asked what would be done.
	DryRun bool `json:"dryRun,omitempty"`
	// Fields of the request's body, and its digest with the hub's key.
	Fields []string `json:"fields,omitempty"`
	Digest string   `json:"digest,omitempty"`
	// Suppressed is how many before this one have no record: refusals that came too
	// fast, and what was lost while the database was away for too long.
	Suppressed int64 `json:"suppressed,omitempty"`
	// Through and ThroughHash are the last of the records that a Retired record is
	// about, or the head that an Alarm misses.
	Through     int64  `json:"through,omitempty"`
	ThroughHash string `json:"throughHash,omitempty"`
	// Key is the public key that a Handover is signed with, and NextKey the one that
	// follows it, both in hexadecimal.
	Key     string `json:"key,omitempty"`
	NextKey string `json:"nextKey,omitempty"`
}

// Signed is a record as it is kept and exported: the exact text that was signed.
type Signed struct {
	Record    json.RawMessage `json:"record"`
	Hash      Hex             `json:"hash"`
	Signature Hex             `json:"signature"`
}

const (
	mostText   = 300
	mostFields = 30
)

// Seal makes the signed text of a record. Its texts are cut to a bound, and
// cleaned of what is not printable.
func Seal(key ed25519.PrivateKey, r Record) (Signed, error) {
	for _, s := range []*string{
		&r.Actor, &r.ActorID, &r.From, &r.Action, &r.Verb, &r.Resource, &r.Project, &r.Name, &r.Cluster, &r.Code, &r.Request, &r.Operation, &r.Reason, &r.Provider, &r.Subject,
	} {
		*s = clean(*s)
	}
	fields := r.Fields[:min(len(r.Fields), mostFields)]
	r.Fields = nil
	for _, f := range fields {
		r.Fields = append(r.Fields, clean(f))
	}
	r.At = r.At.UTC().Truncate(time.Microsecond)
	text, err := json.Marshal(r)
	if err != nil {
		return Signed{}, err
	}
	hash := HashOf(text)
	return Signed{text, hash, ed25519.Sign(key, signedText(hash))}, nil
}

// HashOf is the hash of a record's text.
func HashOf(text []byte) Hex {
	sum := sha256.Sum256(append([]byte("hawser audit record v1\n"), text...))
	return sum[:]
}

// signedText keeps a signature over a hash from being one over something else.
func signedText(hash []byte) []byte { return append([]byte("hawser audit v1\n"), hash...) }

// clean keeps a text within a bound and on one line.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > mostText {
			return b.String() + "..."
		}
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			r = '\ufffd'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Valid reports whether the hash is of the text and the signature of the key.
func (s Signed) Valid(key ed25519.PublicKey) bool {
	return bytes.Equal(HashOf(s.Record), s.Hash) && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signedText(s.Hash), s.Signature)
}
