package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

// What an event caused has a record, with the sender only when he has proven himself,
// and so has what was refused. What caused nothing has none.
func TestS13_EventsHaveRecords(t *testing.T) {
	var got []fleet.AuditEntry
	of := func(secret string) Options {
		return Options{
			Secrets: forAll(secret), Known: func() []string { return watched }, Poke: func(string) {},
			Audit: func(e fleet.AuditEntry) { got = append(got, e) },
		}
	}
	mac := hmac.New(sha256.New, []byte("s"))
	_, _ = mac.Write([]byte(pushed))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	signed, open := Handler(of("s")), Handler(of(""))
	send(signed, request(pushed, "application/json", "X-GitHub-Event", "push", "X-Hub-Signature-256", signature))
	send(signed, request(pushed, "application/json", "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=00"))
	send(signed, request("{}", "application/json", "X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256=00"))
	send(open, request(pushed, "application/json", "X-GitHub-Event", "push"))
	send(open, request("{}", "application/json", "X-GitHub-Event", "ping"))
	if len(got) != 4 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	for i, want := range []struct {
		kind     audit.Kind
		code     string
		named    bool
		stranger bool
	}{
		{audit.Command, "", true, false},
		{audit.Refusal, "webhook_signature_invalid", false, false},
		{audit.Refusal, "webhook_signature_invalid", false, false},
		{audit.Command, "", true, true},
	} {
		r := got[i].Record
		if r.Kind != want.kind || r.Code != want.code || (r.Actor != "") != want.named || got[i].Stranger != want.stranger || r.From == "" || r.Action != "receiveWebhook" {
			t.Errorf("record %d: %+v", i, got[i])
		}
	}
}
