package kill

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/failpoint"
)

// lostAnswers is how many stories of each seed miss an answer.
const lostAnswers = 3

// seeds of the stories: 1 syncs by itself, and its finished hooks are swept away
// while the agent is dead; 2 syncs only when asked; 3 loses its line to the hub as
// well. HAWSER_KILL_SEEDS names others, HAWSER_KILL_POINTS only some
// points.
func seeds(t *testing.T) []uint64 {
	text := os.Getenv("HAWSER_KILL_SEEDS")
	if text == "" {
		return []uint64{1, 2, 3}
	}
	var out []uint64
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
		if err != nil {
			t.Fatalf("HAWSER_KILL_SEEDS: %v", err)
		}
		out = append(out, n)
	}
	return out
}

func points() []string {
	if text := os.Getenv("HAWSER_KILL_POINTS"); text != "" {
		return strings.Split(text, ",")
	}
	return failpoint.Names()
}

func TestTheAgentDiesAtEveryPoint(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane and a hub, which -short leaves out")
	}
	began := time.Now()
	w, err := startWorld(t.Context(), t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			w.keepLogs(t)
		}
		w.end()
	})
	t.Logf("control plane, hub and %d agents are ready after %s", lanes, time.Since(began).Round(time.Second))

	// First each seed's story without a death: it tells how often the points are
	// passed.
	var quiet []*story
	for _, seed := range seeds(t) {
		quiet = append(quiet, &story{name: fmt.Sprintf("quiet-%d", seed), seed: seed})
	}
	quiet = w.play(t, quiet)
	passed := map[uint64]map[string]int{}
	for _, s := range quiet {
		if passed[s.seed], err = hits(filepath.Join(w.Dir, s.name+".log")); err != nil {
			t.Fatal(err)
		}
	}
	if t.Failed() {
		return
	}
	var stories []*story
	for _, point := range points() {
		for _, seed := range seeds(t) {
			n := passed[seed][point]
			if n == 0 {
				continue
			}
			// Early, late, or between; not the very last, which may not come.
			nth := 1 + rand.New(rand.NewPCG(seed, uint64(len(stories)))).IntN(max(1, n*2/3))
			stories = append(stories, &story{name: strings.ReplaceAll(point, ".", "-") + "-" + fmt.Sprint(seed), seed: seed, point: point, nth: nth})
		}
	}
	// And some that live on, but miss an answer.
	for _, seed := range seeds(t) {
		n := passed[seed]["kube.request.after"]
		for i := range lostAnswers {
			lost := 1 + rand.New(rand.NewPCG(seed, uint64(1000+i))).IntN(max(1, n*9/10))
			stories = append(stories, &story{name: fmt.Sprintf("lost-%d-%d", i+1, seed), seed: seed, lost: lost})
		}
	}
	told := append(quiet, w.play(t, stories)...)
	w.judge(t, told)
	w.covered(t, told)
	t.Logf("%d stories in %s", len(told), time.Since(began).Round(time.Second))
}

// play runs stories, so many at a time, and returns those that were told: one whose
// agent did not come to its point so often is told again, for the first time that it
// does.
func (w *world) play(t *testing.T, stories []*story) (told []*story) {
	queue := make(chan *story)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range abreast {
		wg.Go(func() {
			for s := range queue {
				err := w.tell(t, s)
				if err == nil && s.point != "" && !s.killed && s.nth > 1 {
					mu.Lock()
					told = append(told, s)
					mu.Unlock()
					s = &story{name: s.name + "-first", seed: s.seed, point: s.point, nth: 1}
					err = w.tell(t, s)
				}
				switch {
				case err != nil:
					t.Errorf("%s: %v", s, err)
				case s.point != "" && !s.killed, s.lost > 0 && !s.missed():
					t.Errorf("%s: the agent did not come to that point so often", s)
				default:
					t.Logf("%s: lived in %s", s, s.took.Round(10*time.Millisecond))
				}
				mu.Lock()
				told = append(told, s)
				mu.Unlock()
			}
		})
	}
	for _, s := range stories {
		select {
		case queue <- s:
		case <-t.Context().Done():
		}
	}
	close(queue)
	wg.Wait()
	return told
}

// tell runs a story on the lane that is free the longest.
func (w *world) tell(t *testing.T, s *story) error {
	s.lane = <-w.lanes
	began := time.Now()
	defer func() {
		s.took = time.Since(began)
		w.lanes <- s.lane
	}()
	s.err = s.run(t.Context())
	return s.err
}

func (s *story) String() string {
	switch {
	case s.lost > 0:
		return fmt.Sprintf("seed %d, misses the answer to request %d", s.seed, s.lost)
	case s.point == "":
		return fmt.Sprintf("seed %d, no death", s.seed)
	}
	return fmt.Sprintf("seed %d, dies at %s, hit %d (%s)", s.seed, s.point, s.nth, failpoint.About(s.point))
}

// judge checks what was recorded of every story.
func (w *world) judge(t *testing.T, stories []*story) {
	audit, err := ReadAudit(w.plane.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	namespaces := map[*lane][]string{}
	for _, s := range stories {
		namespaces[s.lane] = append(namespaces[s.lane], s.name)
		h, err := s.history(audit)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		found := Check(h)
		for i, v := range found {
			if i == 3 {
				t.Errorf("%s: … and %d more", s, len(found)-i)
				break
			}
			t.Errorf("%s: %s", s, v)
		}
		if len(found) == 0 {
			t.Logf("%s: %d rules hold over %d writes, %d states of the journal, %d operations with %d statements, %d looks", s, len(Rules), len(h.Requests), len(h.Journal), len(h.Asked), len(h.Said), len(h.Views))
		}
		if dir := os.Getenv(keepLogs); dir != "" && (len(found) > 0 || s.err != nil) {
			keep(t, filepath.Join(dir, s.name+".history"), []byte(h.String()))
		}
	}
	for l, applications := range namespaces {
		for _, v := range Stray(l.Cluster, l.Namespace, applications, audit.Requests) {
			t.Errorf("%s: %s", l.Cluster, v)
		}
	}
}

// covered holds that every point had its deaths.
func (w *world) covered(t *testing.T, stories []*story) {
	deaths := map[string]int{}
	for _, s := range stories {
		if s.killed {
			deaths[s.point]++
		}
	}
	all := 0
	for _, point := range points() {
		if all += deaths[point]; deaths[point] == 0 {
			t.Errorf("no agent has died at %s (%s)", point, failpoint.About(point))
		}
	}
	t.Logf("%d deaths at %d points", all, len(points()))
}

// keepLogs is the variable that names a directory for the logs and histories of
// what has failed.
const keepLogs = "HAWSER_KEEP_LOGS"

func (w *world) keepLogs(t *testing.T) {
	dir := os.Getenv(keepLogs)
	if dir == "" {
		return
	}
	logs, err := filepath.Glob(filepath.Join(w.Dir, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(logs, w.plane.AuditLog()) {
		if b, err := os.ReadFile(path); err == nil {
			keep(t, filepath.Join(dir, filepath.Base(path)), b)
		}
	}
}

func keep(t *testing.T, path string, content []byte) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Error(err)
	}
}
