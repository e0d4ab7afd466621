package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// kubelet starts an agent again whenever it ends, as long as the test runs, with a
// limit to its memory.
type kubelet struct {
	ship  *ship
	limit uint64
	ends  atomic.Int64
}

// supervise has the ship's agent, which runs, live under a limit. The limit is one to
// its private memory, so that an agent that needs more ends by itself, wherever the
// test runs; a limit of a container ends it by SIGKILL, which is the same to the
// agent after it.
func (s *ship) supervise(limit uint64) *kubelet {
	s.t.Helper()
	k := &kubelet{ship: s, limit: limit}
	s.check(k.confine())
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-s.Process().Exited():
			}
			k.ends.Add(1)
			err := s.Start(fmt.Sprintf("%s-%d.log", s.name, n))
			if err == nil {
				err = k.confine()
			}
			if err != nil {
				s.t.Errorf("the agent is not started again: %v", err)
				return
			}
		}
	})
	s.t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
	return k
}

func (k *kubelet) confine() error {
	return unix.Prlimit(k.ship.Process().PID(), unix.RLIMIT_DATA, &unix.Rlimit{Cur: k.limit, Max: k.limit}, nil)
}

// sprawling is a manifest of many small values: little text, which takes many times
// as much memory when it is read.
func sprawling(name string, keys int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{`, name)
	for i := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"k%d":"%d"`, i, i)
	}
	b.WriteString("}}")
	return b.String()
}

// An application that is too much for the agent's memory ends it, and again whenever
// it is started. After three such ends that application is left alone, says so, and
// the cluster does; the others go on as ever. When it has become smaller it is
// synced without anybody's help.
func TestAnApplicationThatEndsTheAgentIsIsolated(t *testing.T) {
	t.Parallel()
	const (
		limit   = 200 << 20
		objects = 100
		keys    = 12_000
	)
	s := launch(t, "oom")
	small, big := s.name+"-small", s.name+"-big"
	s.commit(small, configMap("a", "1"))
	harmless := s.commit(big, configMap("b", "1"))
	s.deploy(small, automated)
	s.deploy(big, automated)
	s.settled(small, harmless)
	s.settled(big, harmless)
	kubelet := s.supervise(limit)

	files := map[string][]byte{big + "/objects.yaml": []byte(configMap("b", "2"))}
	for i := range objects {
		name := fmt.Sprintf("sprawl-%03d", i)
		files[big+"/"+name+".json"] = []byte(sprawling(name, keys))
	}
	monster, err := s.repo.Apply(s.ctx, testbed.Change{Message: "too much", Files: files})
	s.check(err)
	s.check(s.world.Push(s.ctx, s.repo.URL(), testbed.DefaultBranch, monster))
	message := s.condition(big, "application_isolated")
	isolated := kubelet.ends.Load()
	if !strings.Contains(message, "ended 3 times") || !strings.Contains(message, "a sync by hand") {
		t.Errorf("the application says %q", message)
	}
	s.view(big, "is of unknown sync", func(v model.AppView) bool { return v.Sync.Status == model.SyncUnknown })
	t.Logf("isolated after the agent has ended %d times: %s", isolated, message)
	// Two ends before anything is marked, then three; one more when the machine is so
	// busy that something else was on its way as well.
	if isolated < 5 || isolated > 7 {
		t.Errorf("isolated after %d ends", isolated)
	}
	for n := range isolated {
		log := filepath.Join(s.world.Dir, fmt.Sprintf("%s.log", s.name))
		if n > 0 {
			log = filepath.Join(s.world.Dir, fmt.Sprintf("%s-%d.log", s.name, n))
		}
		b, err := os.ReadFile(log)
		s.check(err)
		i := bytes.Index(b, []byte("\nfatal error: "))
		if i < 0 {
			t.Errorf("life %d did not end by a fatal error:\n%s", n+1, testbed.Tail(log, 10))
			continue
		}
		why, _, _ := bytes.Cut(b[i+1:], []byte("\n"))
		t.Logf("life %d ended by a %s", n+1, why)
		if !bytes.Contains(why, []byte("memory")) {
			t.Errorf("life %d did not end for want of memory, but by a %s", n+1, why)
		}
	}

	// The cluster tells, and the other application is looked after.
	s.eventually("the cluster tells", 30*time.Second, func() bool {
		out, err := s.world.CLI(s.ctx, "cluster", "get", s.Cluster, "-o", "json")
		return err == nil && strings.Contains(string(out), "agent_oom_restarts") && strings.Contains(string(out), big)
	})
	s.drift(small, "a", "mutiny")
	s.eventually("healed", 30*time.Second, func() bool { return s.value(small, "a") == "1" })
	second := s.commit(small, configMap("a", "2"), configMap("c", "1"))
	s.settled(small, second)
	if v := s.value(big, "b"); v != "1" && v != "2" {
		t.Errorf("the object of the isolated application holds %q", v)
	}
	s.noDeletes(big)
	s.noDeletes(small)

	// It becomes smaller.
	gone := map[string][]byte{big + "/objects.yaml": []byte(configMap("b", "3"))}
	for name := range files {
		if strings.HasSuffix(name, ".json") {
			gone[name] = nil
		}
	}
	last, err := s.repo.Apply(s.ctx, testbed.Change{Message: "less", Files: gone})
	s.check(err)
	s.check(s.world.Push(s.ctx, s.repo.URL(), testbed.DefaultBranch, last))
	s.settled(big, last)
	if v := s.value(big, "b"); v != "3" {
		t.Errorf("the object holds %q", v)
	}
	t.Logf("the agent that lives on has %s of private memory", privateMemory(t, s.Process().PID()))
	if n := kubelet.ends.Load(); n != isolated {
		t.Errorf("the agent was ended %d times more after the application was isolated", n-isolated)
	}
}

// privateMemory is what the limit is compared with.
func privateMemory(t *testing.T, pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if size, ok := strings.CutPrefix(line, "VmData:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "an unknown amount"
}
