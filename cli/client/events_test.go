package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func collect(into *[]Event) func(Event) bool {
	return func(e Event) bool {
		*into = append(*into, e)
		return true
	}
}

func TestEvents(t *testing.T) {
	api := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") != "r-4" || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("asked with %v", r.Header)
		}
		io.WriteString(w, ": a comment\n\nevent: hello\ndata: {}\n\n"+
			"id: r-5\nevent: application\ndata: {\"a\":\ndata:  1}\ndata:\ndata: x\n\n"+
			"event: reset\n\nunknown: field\ndata: only\r\n\nevent: unfinished\ndata: x\n")
	})
	var got []Event
	if err := api.Events(t.Context(), "r-4", collect(&got)); err != nil {
		t.Fatal(err)
	}
	want := []Event{
		{Type: "hello", Data: []byte("{}")},
		{ID: "r-5", Type: "application", Data: []byte("{\"a\":\n 1}\n\nx")},
		{Type: "reset"},
		{Data: []byte("only")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestEventsUntilTheCallerHasEnough(t *testing.T) {
	api := connect(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "event: a\n\nevent: b\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the stream stays open
	})
	seen := 0
	if err := api.Events(t.Context(), "", func(Event) bool { seen++; return false }); err != nil || seen != 1 {
		t.Errorf("%d events, %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := api.Events(ctx, "", func(e Event) bool {
		if e.Type == "b" {
			cancel()
		}
		return true
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestABrokenStream(t *testing.T) {
	api := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "event: hello\n\nevent: appl")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	var got []Event
	err := api.Events(t.Context(), "", collect(&got))
	if !fault.HasCode(err, "hub_unreachable") || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}
