package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// MaxHistory is how many commits are looked at when a whole history has to be
// signed. Longer ones need a commit that seals what is before it.
const MaxHistory = 10_000

const (
	// verifiedFor is how long a verdict is remembered: keys expire.
	verifiedFor = time.Hour
	maxVerified = 10_000
)

// verdict is remembered by what it depends on.
type verdict struct {
	facts policy.SignatureFacts
	at    time.Time
}

// Verified is what Verify found out before; false when it did not, or too long ago.
// It does not block.
func (s *Sources) Verified(t fleet.Target, commit, tag string, mode policy.SignatureMode, keys []string) (policy.SignatureFacts, bool) {
	u, err := s.checkURL(t.RepoURL)
	if err != nil {
		return policy.SignatureFacts{}, false
	}
	return s.remembered(verdictID(s.directory(u), strings.ToLower(commit), strings.ToLower(tag), mode, keys), t)
}

func (s *Sources) remembered(id string, t fleet.Target) (policy.SignatureFacts, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.verified[id]
	if !ok || time.Since(known.at) >= verifiedFor {
		return policy.SignatureFacts{}, false
	}
	known.facts.RepoURL = t.RepoURL
	return known.facts, true
}

// verdictID names everything that a verdict depends on.
func verdictID(dir, commit, tag string, mode policy.SignatureMode, keys []string) string {
	sum := sha256.Sum256([]byte(strings.Join(keys, "\x00")))
	return strings.Join([]string{dir, commit, tag, string(mode), hex.EncodeToString(sum[:])}, " ")
}

// Verify says who has signed what a target of Git was resolved to: the annotated tag
// where it names one, else the commit, and in strict mode what is before it. keys
// are public keys in ASCII armour. The answer is remembered as long as commit, tag,
// mode and keys are the same. Codes of Resolve, and git_history_incomplete.
func (s *Sources) Verify(ctx context.Context, t fleet.Target, commit, tag string, mode policy.SignatureMode, keys []string) (policy.SignatureFacts, error) {
	if !IsCommit(commit) || tag != "" && !IsCommit(tag) {
		return policy.SignatureFacts{}, fault.Wrap(errNoCommit, fault.Internal, "internal", "internal error")
	}
	commit, tag = strings.ToLower(commit), strings.ToLower(tag)
	u, err := s.checkURL(t.RepoURL)
	if err != nil {
		return policy.SignatureFacts{}, err
	}
	dir := s.directory(u)
	id := verdictID(dir, commit, tag, mode, keys)
	if facts, ok := s.remembered(id, t); ok {
		return facts, nil
	}
	if _, _, err := s.module(ctx, t.RepoURL, commit); err != nil {
		return policy.SignatureFacts{}, err // fetched, unless it is here
	}
	cred, err := s.credential(ctx, t.RepoURL)
	if err != nil {
		return policy.SignatureFacts{}, err
	}
	var answer *workerv1.GitAnswer
	err = s.withAccess(ctx, u, cred, func(r *workerv1.Remote) (err error) {
		answer, err = s.converse(ctx, dir, u.String(), &workerv1.GitRequest{Request: &workerv1.GitRequest_Verify{Verify: &workerv1.GitVerify{
			Directory: dir, Remote: r, Commit: commit, Tag: tag, Strict: mode == policy.SignatureStrict, MaxCommits: MaxHistory, Keys: keys,
		}}})
		return err
	})
	if err != nil {
		return policy.SignatureFacts{}, err
	}
	v := answer.GetVerified()
	facts := policy.SignatureFacts{RepoURL: t.RepoURL, Commit: commit, Mode: mode, Examined: int(v.GetExamined())}
	if v.GetTruncated() {
		facts.Bound = MaxHistory
	}
	for _, f := range v.GetSignatures() {
		facts.Signatures = append(facts.Signatures, policy.SignatureFact{Object: f.GetObject(), Tag: f.GetTag(), State: policy.SignatureState(f.GetState()), KeyID: f.GetKeyId(),
			PrimaryKeyID: f.GetPrimaryKeyId(), Signer: f.GetSigner(), Author: f.GetAuthor(), Format: f.GetFormat(), Objects: int(f.GetObjects())})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.verified) >= maxVerified || s.verified == nil {
		s.verified = map[string]verdict{}
	}
	s.verified[id] = verdict{facts, time.Now()}
	return facts, nil
}
