package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// codeRestarts names the condition of a cluster whose agents are ended again and
// again. A cluster's conditions are texts, so it is their first word.
const codeRestarts = "agent_oom_restarts"

// beginLife has the journal remember how the agent before this one ended. It costs
// a request only when that was not in good order.
func (a *agent) beginLife(ctx context.Context) {
	end := a.lease.Before()
	if end.Unclean {
		end.Memory = a.endedForMemory(ctx)
		a.log.Warn("the agent before this one was ended without a clean stop", "ran", end.Ran, "known to be for want of memory", end.Memory)
	}
	a.journal.Update(journal.Urgent, func(b *journal.Book) journal.Change { return b.BeginLife(end, telemetry.Version, a.cfg.Now()) })
}

// lifeConditions say at the cluster that agents are ended again and again.
func (a *agent) lifeConditions() []string {
	var l journal.Lives
	var isolated []string
	a.journal.View(func(b *journal.Book) {
		l = b.Lives()
		for _, s := range l.Suspects {
			if _, ok := l.Isolated(b.WorkOf(s.App)); ok {
				isolated = append(isolated, b.Apps[s.App].Name)
			}
		}
	})
	if text := restartsText(l, isolated); text != "" {
		return []string{text}
	}
	return nil
}

// restartsText is empty when an end was a single one and nothing is isolated.
func restartsText(l journal.Lives, isolated []string) string {
	if l.Total == 0 || l.Total == 1 && len(isolated) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the agent was ended %d times without a clean stop since %s, last at %s", codeRestarts, l.Total,
		l.Since.UTC().Format(time.RFC3339), l.Last.UTC().Format(time.RFC3339))
	if l.ForMemory > 0 {
		fmt.Fprintf(&b, "; %d times it is known that the system did so for want of memory", l.ForMemory)
	}
	if l.Careful() {
		fmt.Fprintf(&b, "; until it has run for %d minutes it works on one application at a time", int(journal.GoodRun.Minutes()))
	}
	slices.Sort(isolated)
	const most = 10
	if n := len(isolated); n > most {
		isolated = append(isolated[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	if len(isolated) > 0 {
		fmt.Fprintf(&b, "; not worked on any more, because it was ended %d times by each of them: %s", journal.MaxDeaths, strings.Join(isolated, ", "))
	}
	return b.String()
}

// endedForMemory asks the agent's own pod whether its container was ended for want
// of memory before. false: no, or it is not known, as when the agent may not read
// pods. The counter in the container's cgroup does not tell: it begins anew with
// each start of the container.
func (a *agent) endedForMemory(ctx context.Context) bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return false
	}
	pod, err := os.Hostname()
	if err != nil || pod == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	killed, err := podKilledForMemory(ctx, a.http, a.base, a.cfg.Namespace, pod)
	if err != nil {
		a.log.Debug("how the agent's container ended is not known", "error", err)
	}
	return killed
}

// podKilledForMemory reads why the container of a pod ended before. With several
// containers it is not clear whose end that was.
func podKilledForMemory(ctx context.Context, client *http.Client, base *url.URL, namespace, name string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("api/v1/namespaces", namespace, "pods", name).String(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("reading pod %s: %s", name, resp.Status)
	}
	var pod struct {
		Status struct {
			ContainerStatuses []struct {
				LastState struct {
					Terminated struct {
						Reason string `json:"reason"`
					} `json:"terminated"`
				} `json:"lastState"`
			} `json:"containerStatuses"`
		} `json:"status"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 2<<20)).Decode(&pod); err != nil {
		return false, err
	}
	c := pod.Status.ContainerStatuses
	return len(c) == 1 && c[0].LastState.Terminated.Reason == "OOMKilled", nil
}
