package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestNewLogger(t *testing.T) {
	var b bytes.Buffer
	log, err := NewLogger(&b, Options{Level: "WARN", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "code", "x")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "loud" || line["code"] != "x" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	b.Reset()
	if log, err = NewLogger(&b, Options{}); err != nil {
		t.Fatal(err)
	}
	log.Debug("quiet")
	log.Info("hello")
	if s := b.String(); !strings.Contains(s, "msg=hello") || strings.Contains(s, "quiet") {
		t.Errorf("got %q", s)
	}
	for _, o := range []Options{{Level: "loud"}, {Format: "xml"}} {
		if _, err := NewLogger(&b, o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}
