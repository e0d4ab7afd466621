package main

import (
	"bytes"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// A field is told once: many messages name it themselves.
func TestErrorsNameTheirFieldOnce(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fault.New(fault.Invalid, "unknown_field", "unknown field spec.helm.x").WithField("spec.helm.x"),
			"hawser-hub: unknown_field: unknown field spec.helm.x\n"},
		{fault.New(fault.Invalid, "url_invalid", "no scheme").WithField("spec.source.repoURL").WithFix("write https://"),
			"hawser-hub: url_invalid: spec.source.repoURL: no scheme\n  fix: write https://\n"},
	} {
		var out bytes.Buffer
		printError(&out, tt.err)
		if out.String() != tt.want {
			t.Errorf("%q instead of %q", out.String(), tt.want)
		}
	}
}
