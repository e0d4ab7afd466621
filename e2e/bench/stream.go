package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

const (
	streamListeners = 100
	streamRate      = 500
	streamFor       = 20 * time.Second
	streamPatience  = 15 * time.Second
	changeMark      = "change number "
)

// transport speaks HTTP/1.1 over connections of its own, so that each visitor
// and listener is one as the hub sees it. The hub was started here and its
// address was never given to anybody; that it is who it says is not in question.
func (h *seededHub) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		TLSNextProto:       map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression: true,
	}
}

// listener follows the event stream and notes when it heard of which change.
type listener struct {
	heard []int64 // nanoseconds after begin, by the number of the change; 0: not yet
	// last counts what was heard of the last change of each application.
	last  atomic.Int64
	apps  int
	bytes int64
}

// listen follows the stream until ctx ends. hello is closed at the first event.
func (h *seededHub) listen(ctx context.Context, l *listener, begin *atomic.Pointer[time.Time], hello func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Hub.URL()+"/api/v1/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+h.admin)
	resp, err := (&http.Client{Transport: h.transport()}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the event stream answers %s", resp.Status)
	}
	hello()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("an event stream broke: %w", err)
		}
		l.bytes += int64(len(line))
		if bytes.HasPrefix(line, []byte("event: reset")) {
			return errors.New("a listener was told that it missed events")
		}
		_, rest, found := bytes.Cut(line, []byte(changeMark))
		if !found {
			continue
		}
		number := 0
		for _, c := range rest {
			if c < '0' || c > '9' {
				break
			}
			number = 10*number + int(c-'0')
		}
		if t := begin.Load(); t != nil && number < len(l.heard) && l.heard[number] == 0 {
			l.heard[number] = int64(time.Since(*t))
			if number >= len(l.heard)-l.apps {
				l.last.Add(1)
			}
		}
	}
}

// stream measures changes until listeners hear of them: agents report over their
// sessions that applications changed, 500 a second, and 100 administrators each
// hear of every one.
func (b *bench) stream(ctx context.Context, h *seededHub) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, a := range h.agents {
		if err := a.connect(ctx); err != nil {
			return err
		}
		defer a.disconnect()
	}
	changes, apps := int(streamFor.Seconds()*streamRate), len(h.agents)*busyApps
	var (
		listeners = make([]*listener, streamListeners)
		start     atomic.Pointer[time.Time]
		greeted   sync.WaitGroup
		all       sync.WaitGroup
		failure   = make(chan error, streamListeners)
	)
	for i := range listeners {
		l := &listener{heard: make([]int64, changes), apps: apps}
		listeners[i] = l
		greeted.Add(1)
		once := sync.OnceFunc(greeted.Done)
		all.Go(func() {
			defer once()
			if err := h.listen(ctx, l, &start, once); err != nil {
				failure <- err
				cancel()
			}
		})
	}
	greeted.Wait()
	if err := h.settled(ctx); err != nil {
		return err
	}
	sent := make([]int64, changes)
	before, err := h.cpu()
	if err != nil {
		return err
	}
	begin := time.Now()
	start.Store(&begin)
	for i := range changes {
		due := begin.Add(time.Duration(i) * time.Second / streamRate)
		if d := time.Until(due); d > 0 && restFor(ctx, d) != nil {
			break
		}
		agent, uid := h.busyApp(i * 7919 % apps) // every application in turn, and one agent after the other
		since := time.Now()
		sent[i] = int64(since.Sub(begin))
		agent.report(uid, model.AppStatus{
			Generation: 1, Revision: "0123456789abcdef0123456789abcdef01234567", Sync: model.SyncFacet{Status: model.SyncSynced},
			Health: model.HealthFacet{Status: model.HealthProgressing, Message: changeMark + strconv.Itoa(i), Since: &since},
		})
	}
	wall := time.Since(begin)
	for deadline := time.Now().Add(streamPatience); ctx.Err() == nil && time.Now().Before(deadline); {
		if slices.IndexFunc(listeners, func(l *listener) bool { return l.last.Load() < int64(apps) }) < 0 {
			break
		}
		_ = restFor(ctx, 50*time.Millisecond)
	}
	after, err := h.cpu()
	if err != nil {
		return err
	}
	cancel()
	all.Wait()
	select {
	case err := <-failure:
		return err
	default:
	}
	b.judgeStream(listeners, sent, apps, wall, after-before)
	return nil
}

func (b *bench) judgeStream(listeners []*listener, sent []int64, apps int, wall time.Duration, cpu float64) {
	var (
		every []float64
		lost  int
		bytes int64
	)
	for _, l := range listeners {
		bytes += l.bytes
	}
	for i, at := range sent {
		slowest := 0.0
		for _, l := range listeners {
			// Who hears of a later state of the application has heard of this change.
			first := int64(0)
			for k := i; k < len(sent); k += apps {
				if l.heard[k] > 0 && (first == 0 || l.heard[k] < first) {
					first = l.heard[k]
				}
			}
			if first == 0 {
				lost++
				continue
			}
			d := float64(first-at) / 1e9
			every = append(every, d)
			slowest = max(slowest, d)
		}
		b.add("api/stream-last", "a change until the last of the listeners has heard of it", "s", round(slowest))
	}
	slices.Sort(every)
	if len(every) > 0 {
		b.add("api/stream-p50", "a change in an agent until a listener has heard of it, median of all", "s", round(rank(every, 50)))
		b.add("api/stream-p99", "the 99th percentile of all", "s", round(rank(every, 99))).atMost("max", 0.250)
	}
	b.add("api/stream-lost", "changes that a listener was not told of", "", float64(lost)).atMost("max", 0)
	b.add("api/stream-rate", "changes a second that were made, 100 listeners", "1/s", round(float64(len(sent))/wall.Seconds())).atLeast("max", streamRate*0.99)
	b.add("api/stream-bytes", "what a listener was sent for one change", "B", round(float64(bytes)/float64(len(listeners)*len(sent))))
	b.add("api/stream-cpu", "CPU of the hub while it lasted", "s", round(cpu))
}

// loadAverage is of the machine, for those who read the log.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
