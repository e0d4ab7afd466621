package bulk

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// patience is how long a test waits for anything; it includes that a request
// which the killed hub had begun counts as abandoned after two minutes.
const patience = 5 * time.Minute

const (
	applications = 300
	unknown      = 40 // of them there are none
	refreshed    = 200
)

// A hub is killed twice in the middle of a job. Afterwards each application has
// one operation, each item is accepted with that or refused for its reason, and
// the counts are those of the items.
func TestAJobOutlivesItsHub(t *testing.T) {
	if testing.Short() {
		t.Skip("a hub is started, and killed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dsn := dbtest.Postgres(t)
	db, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), HubArgs: []string{"--database-url", dsn}, NoGit: true, Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A cluster that enrolled once and is offline.
	if _, err := db.Exec(ctx, `INSERT INTO clusters (id, name, created_at, enrolled_at) VALUES ('c-gone', 'gone', now(), now())`); err != nil {
		t.Fatal(err)
	}
	api, err := r.API()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var names []string
	for i := range applications {
		name := fmt.Sprintf("app-%03d", i)
		names = append(names, name)
		fmt.Fprintf(&text, `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":%q},"spec":{"project":"default",`+
			`"source":{"repoURL":"https://127.0.0.1:1/none.git","path":"."},"destination":{"name":"gone","namespace":"default"}}}`+"\n---\n", name)
	}
	if err := api.Do(ctx, http.MethodPost, "/apply", []byte(text.String()), nil); err != nil {
		t.Fatal(err)
	}
	targets := slices.Clone(names)
	for i := range unknown {
		targets = slices.Insert(targets, i*7, fmt.Sprintf("none-%02d", i))
	}
	submit := func(request model.JobRequest, key string) (job model.Job) {
		t.Helper()
		if err := api.DoWith(ctx, http.MethodPost, "/jobs", http.Header{"Idempotency-Key": {key}}, request, &job); err != nil {
			t.Fatal(err)
		}
		return job
	}
	deletes := model.JobRequest{Kind: model.JobDelete, Applications: targets, Spec: []byte(`{"cascade":true}`)}
	refreshes := model.JobRequest{Kind: model.JobRefresh, Applications: targets[:refreshed]}
	first := submit(refreshes, "refresh-once")
	job := submit(deletes, "delete-once")

	// Killed when some items of each kind are done, and others are not.
	for i, until := range []struct {
		job  string
		done int
	}{{first.ID, refreshed / 4}, {job.ID, len(targets) / 3}} {
		awaitItems(ctx, t, db, until.job, until.done)
		r.Hub.Kill()
		left := pending(ctx, t, db, until.job)
		t.Logf("killed: %d items of the job are pending", left)
		if left == 0 {
			t.Fatalf("kill %d came too late to prove anything", i+1)
		}
		if err := r.Hub.Start(ctx); err != nil {
			t.Fatal(err)
		}
		// Who has lost an answer asks again, and gets the job that he has.
		if again := submit(deletes, "delete-once"); again.ID != job.ID {
			t.Errorf("asked again: job %s, and it was %s", again.ID, job.ID)
		}
	}

	for _, c := range []struct {
		id                       string
		total, unknown, accepted int
	}{
		{first.ID, refreshed, countPrefix(targets[:refreshed], "none-"), countPrefix(targets[:refreshed], "app-")},
		{job.ID, len(targets), unknown, applications},
	} {
		end := awaitEnd(ctx, t, api, c.id)
		if end.Phase != model.JobFinished || end.Total != c.total || end.Pending != 0 || end.Accepted != c.accepted || end.Failed != c.unknown {
			t.Errorf("job %s: %+v, want %d accepted and %d failed", end.Kind, end, c.accepted, c.unknown)
		}
		seen := map[string]int{}
		for _, item := range items(ctx, t, api, c.id) {
			seen[item.Application]++
			switch {
			case strings.HasPrefix(item.Application, "none-"):
				if item.Phase != model.ItemFailed || item.Code != "application_not_found" {
					t.Errorf("%+v", item)
				}
			case item.Phase != model.ItemAccepted || (item.Operation == "") != (end.Kind == model.JobRefresh):
				t.Errorf("%+v", item)
			}
		}
		if len(seen) != c.total {
			t.Errorf("%d items are of %d applications", c.total, len(seen))
		}
		for name, n := range seen {
			if n != 1 {
				t.Errorf("%s has %d items", name, n)
			}
		}
	}

	// Each command was given once, and it is the one that its item names.
	rows, err := db.Query(ctx, `
		SELECT o.app_name, count(*), bool_and(i.operation = o.id)
		FROM operations o LEFT JOIN job_items i ON i.job = $1 AND i.application = o.app_name
		GROUP BY o.app_name`, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	commanded := 0
	for rows.Next() {
		var name string
		var n int
		var named bool
		if err := rows.Scan(&name, &n, &named); err != nil {
			t.Fatal(err)
		}
		if commanded++; n != 1 || !named {
			t.Errorf("%s has %d operations; that of its item: %v", name, n, named)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if commanded != applications {
		t.Errorf("%d applications have an operation, want %d", commanded, applications)
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

func pending(ctx context.Context, t *testing.T, db *pgx.Conn, job string) (n int) {
	t.Helper()
	if err := db.QueryRow(ctx, `SELECT count(*) FROM job_items WHERE job = $1 AND phase = 'Pending'`, job).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitItems waits until some items of a job are done. It looks often, because
// the kill is to come in the middle, and there is no signal that a hub cannot
// delay.
func awaitItems(ctx context.Context, t *testing.T, db *pgx.Conn, job string, done int) {
	t.Helper()
	for {
		var n int
		if err := db.QueryRow(ctx, `SELECT count(*) FROM job_items WHERE job = $1 AND phase <> 'Pending'`, job).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n >= done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("only %d of %d items are done", n, done)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// awaitEnd follows the event stream until a job has ended.
func awaitEnd(ctx context.Context, t *testing.T, api *client.Client, id string) (job model.Job) {
	t.Helper()
	read := func() bool {
		if err := api.Get(ctx, "/jobs/"+id+"?limit=1", &job); err != nil {
			t.Fatal(err)
		}
		return job.Phase != model.JobRunning
	}
	err := api.Events(ctx, "", func(e client.Event) bool {
		switch e.Type {
		case "hello", "reset", "job":
			return !read()
		}
		return true
	})
	if job.Phase == model.JobRunning {
		t.Fatalf("job %s has not ended: %+v, %v", id, job, err)
	}
	if err != nil && !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	return job
}

func items(ctx context.Context, t *testing.T, api *client.Client, id string) (all []model.JobItem) {
	t.Helper()
	cursor := ""
	for {
		var page struct {
			Items      []model.JobItem `json:"items"`
			NextCursor string          `json:"nextCursor"`
		}
		if err := api.Get(ctx, "/jobs/"+id+"?limit=500&cursor="+cursor, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
}

func countPrefix(all []string, prefix string) (n int) {
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}
