package plugin

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestARunBeginsAgainWhenItsHostWasJustLost(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, onePlugin("cue", "echo a: b"))
	h, err := connect(t, Options{Sockets: dir}).named("cue")
	if err != nil {
		t.Fatal(err)
	}
	lost := status.Error(codes.Unavailable, "connection refused")
	for name, c := range map[string]struct {
		answers []error // of opening, in turn
		asked   int
		code    string
	}{
		"at once":             {[]error{nil}, 1, ""},
		"lost twice":          {[]error{lost, lost, nil}, 3, ""},
		"not understood":      {[]error{status.Error(codes.Unimplemented, "what?"), nil}, 1, "plugin_unavailable"},
		"too much to be sent": {[]error{status.Error(codes.ResourceExhausted, "large"), nil}, 1, "plugin_unavailable"},
	} {
		asked := 0
		_, err := begin(t.Context(), h, func(context.Context, ...grpc.CallOption) (struct{}, error) {
			asked++
			return struct{}{}, c.answers[asked-1]
		})
		if asked != c.asked || (c.code == "") != (err == nil) || c.code != "" && !fault.HasCode(err, c.code) {
			t.Errorf("%s: asked %d times: %v", name, asked, err)
		}
	}
	// Whoever asked may have enough.
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := begin(ctx, h, func(context.Context, ...grpc.CallOption) (struct{}, error) {
		cancel()
		return struct{}{}, lost
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
