package api

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/events"
)

func TestListenersHearWhatTheyAskedFor(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/applications", application("web")).ok(201)
	w.broker.Publish(
		events.Event{Type: "application", Key: "1", Project: "default", Name: "web", Payload: func() ([]byte, error) { return []byte("1"), nil }},
		events.Event{Type: "operation", Key: "2", Project: "default", Name: "web", Payload: func() ([]byte, error) { return []byte("2"), nil }},
		events.Event{Type: "application", Key: "3", Project: "shop", Name: "api", Payload: func() ([]byte, error) { return []byte("3"), nil }},
		events.Event{Type: "project", Key: "shop", Payload: func() ([]byte, error) { return []byte("4"), nil }},
		events.Event{Type: "application", Key: "1", Project: "default", Name: "web", Payload: func() ([]byte, error) { return []byte("5"), nil }},
	)
	for query, want := range map[string]string{
		"": "2345", "type=operation": "2", "type=operation,project": "24", "type=operation&type=project": "24", "project=shop": "34", "application=web": "25", "application=web&type=application": "5",
	} {
		a := w.short("GET", "/api/v1/events?"+query, "", "Last-Event-ID: r-0")
		got := ""
		for line := range strings.Lines(a.body) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && len(data) == 2 {
				got += data[:1]
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, code := range map[string]string{"type=aplication": "value_unknown", "typ=x": "unknown_parameter"} {
		w.call("GET", "/api/v1/events?"+query, "").problem(400, code)
	}
	w.call("GET", "/api/v1/events?project=nope", "").problem(404, "project_unknown")
	w.call("GET", "/api/v1/events?application=nope", "").problem(404, "application_not_found")
}

// loadListeners follow the stream, and take the time that each change took.
func loadListeners(tb testing.TB, listeners, changes int, every time.Duration) (p99 time.Duration, frames float64) {
	w := newWorld(tb)
	w.broker = events.New("r", 8192)
	w.opts.Stream = broker{w.broker}
	w.login()
	s := w.serveLoad(tb)
	var (
		ready, done sync.WaitGroup
		mu          sync.Mutex
		all         []time.Duration
		count       int
	)
	began := time.Now()
	for range listeners {
		ready.Add(1)
		done.Go(func() {
			req, _ := http.NewRequestWithContext(tb.Context(), http.MethodGet, s+"/api/v1/events", nil)
			req.Header.Set("Authorization", "Bearer "+w.token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				tb.Error(err)
				ready.Done()
				return
			}
			defer resp.Body.Close()
			var own []time.Duration
			pieces, last := 0, time.Time{}
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				data, ok := strings.CutPrefix(lines.Text(), "data: ")
				if !ok {
					continue
				}
				at, err := strconv.ParseInt(data, 10, 64)
				if err != nil {
					ready.Done() // hello
					continue
				}
				now := time.Now()
				if now.Sub(last) > 50*time.Millisecond {
					pieces++
				}
				last = now
				if own = append(own, now.Sub(began)-time.Duration(at)); len(own) == changes {
					break
				}
			}
			mu.Lock()
			all, count = append(all, own...), count+pieces
			mu.Unlock()
		})
	}
	ready.Wait()
	start := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range changes {
		at := strconv.FormatInt(int64(time.Since(began)), 10)
		w.broker.Publish(events.Event{Type: "application", Key: fmt.Sprint(i), Payload: func() ([]byte, error) { return []byte(at), nil }})
		<-tick.C
	}
	done.Wait()
	if len(all) != listeners*changes {
		tb.Fatalf("%d of %d came", len(all), listeners*changes)
	}
	slices.Sort(all)
	return all[len(all)*99/100], float64(count) / float64(listeners) / time.Since(start).Seconds()
}

// BenchmarkStream: 100 listeners, 500 changes a second; p99 is to be 250 ms at most.
func BenchmarkStream(b *testing.B) {
	for b.Loop() {
		p99, frames := loadListeners(b, 100, 2500, 2*time.Millisecond)
		b.ReportMetric(float64(p99.Milliseconds()), "p99-ms")
		b.ReportMetric(frames, "frames/s")
	}
}

func TestChangesAreSentTogether(t *testing.T) {
	if _, frames := loadListeners(t, 3, 400, 2*time.Millisecond); frames > 8 {
		t.Errorf("%.1f pieces a second", frames)
	}
}
