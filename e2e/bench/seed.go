package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/model"
)

// seed is a fleet that is written straight into a hub's database: what thousands
// of agents would have reported, in seconds. Rows are the same in every run but
// for their times.
type seed struct {
	clusters, applications, projects int
	// busy are clusters that have enrolled for real: the first applications are
	// theirs, busyApps each.
	busy []model.ClusterID
	// repos are URLs; project p has directory "p%03d" in repository p % len.
	repos []string
	now   time.Time
}

const busyApps = 50

var (
	regions  = []string{"eu-west-1", "eu-north-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1", "af-south-1", "edge"}
	stages   = []string{"prod", "prod", "prod", "staging", "dev"}
	services = []string{"checkout", "payments", "catalog", "search", "ledger", "gateway", "mailer", "reports", "identity", "pricing",
		"stock", "orders", "shipping", "reviews", "media", "audit", "billing", "metering", "notify", "proxy"}
	kubeVersions = []string{"v1.33.4", "v1.34.2", "v1.35.0"}
	kinds        = []string{"v1/ConfigMap", "v1/Secret", "v1/Service", "v1/ServiceAccount", "v1/Namespace", "v1/Pod", "v1/PersistentVolumeClaim",
		"apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "apps/v1/ReplicaSet", "batch/v1/Job", "batch/v1/CronJob",
		"networking.k8s.io/v1/Ingress", "networking.k8s.io/v1/NetworkPolicy", "rbac.authorization.k8s.io/v1/Role",
		"rbac.authorization.k8s.io/v1/RoleBinding", "rbac.authorization.k8s.io/v1/ClusterRole", "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
		"autoscaling/v2/HorizontalPodAutoscaler", "policy/v1/PodDisruptionBudget", "apiextensions.k8s.io/v1/CustomResourceDefinition"}
)

func (s seed) project(i int) string { return fmt.Sprintf("team-%03d", i%s.projects) }
func (s seed) repo(project int) string {
	return s.repos[project%len(s.repos)]
}

func (s seed) cluster(i int) string {
	return fmt.Sprintf("%s-%s-%04d", regions[i%len(regions)], stages[i%len(stages)], i)
}

func (s seed) app(i int) string {
	return fmt.Sprintf("%s-%s-%05d", services[i%len(services)], stages[i/7%len(stages)], i)
}

func seedID(kind string, i int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "hawser-bench %s %d", kind, i)).String()
}

// clusterOf is the number of the cluster that an application is on; the busy
// ones are negative.
func (s seed) clusterOf(app int) (id string, number int) {
	if b := app / busyApps; b < len(s.busy) {
		return string(s.busy[b]), -1 - b
	}
	c := app % s.clusters
	return seedID("cluster", c), c
}

// session of a seeded cluster: most are alive, and beats keep them so.
func sessionOf(cluster int) string {
	switch n := cluster % 100; {
	case n < 86:
		return "live"
	case n < 91:
		return "silent" // open, and not heard of
	case n < 97:
		return "closed"
	}
	return "never"
}

// pick spreads values over applications by their weights.
func pick(i int, salt uint64, weighted ...any) string {
	h := (uint64(i)*0x9E3779B97F4A7C15 ^ salt*0xBF58476D1CE4E5B9) * 0x94D049BB133111EB
	n := int((h >> 33) % 100)
	for k := 0; k < len(weighted); k += 2 {
		if n -= weighted[k].(int); n < 0 {
			return weighted[k+1].(string)
		}
	}
	return weighted[1].(string)
}

// write fills the database; the hub is restarted afterwards.
func (s seed) write(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // does nothing after a commit
	var incarnation, first int64
	if err := tx.QueryRow(ctx, "SELECT incarnation FROM hub").Scan(&incarnation); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, "SELECT nextval('session_epoch')").Scan(&first); err != nil {
		return err
	}
	for _, step := range []struct {
		table   string
		columns string
		n       int
		row     func(i int) []any
	}{
		{"projects", "name document created_at updated_at", s.projects, s.projectRow},
		{"clusters", "id name labels created_at enrolled_at cert_not_after agent_version kube_version platform nodes namespaces conditions api_resources namespaced_kinds observed_at revoked", s.clusters, s.clusterRow},
		{"sessions", "cluster_id incarnation number instance opened_at closed_at last_seen report_seq confirmed_at round_trip_us clock_ahead_ms", s.clusters, func(i int) []any { return s.sessionRow(i, incarnation, first) }},
		{"connection_log", "cluster_id at kind code message", 3 * s.clusters, s.connectionRow},
		{"apps", "uid name project cluster_id document created_at updated_at namespace repo_url path target_revision auto_sync labels", s.applications, s.appRow},
		{"observed", "app_uid incarnation number seq generation observed_at received_at revision sync_status sync_reason health_status health_message health_since conditions", s.applications, func(i int) []any { return s.observedRow(i, incarnation, first) }},
		{"observed_detail", "app_uid status tree tree_at tree_digest", s.applications, s.detailRow},
		{"operations", "id seq app_uid app_name cluster_id kind spec phase message initiated_by created_at started_at finished_at deadline generation project", 2 * s.applications, s.operationRow},
	} {
		var rows [][]any
		for i := range step.n {
			if row := step.row(i); row != nil {
				rows = append(rows, row)
			}
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{step.table}, strings.Fields(step.columns), pgx.CopyFromRows(rows)); err != nil {
			return fmt.Errorf("seed %s: %w", step.table, err)
		}
	}
	if _, err := tx.Exec(ctx, "SELECT setval('session_epoch', $1::bigint), setval('operation_seq', $2::bigint)", first+int64(s.clusters)+1, 2*s.applications+1); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ANALYZE")
	return err
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only values of this file are encoded
	}
	return string(b)
}

func (s seed) projectRow(i int) []any {
	name := s.project(i)
	p := model.AppProject{APIVersion: "argoproj.io/v1alpha1", Kind: "AppProject"}
	p.Metadata.Name = name
	p.Spec = model.AppProjectSpec{
		Description: "What team " + name + " runs",
		SourceRepos: []string{s.repo(i), "https://charts.example.com/*"},
		Destinations: []model.ProjectDestination{
			{Name: "*-prod-*", Namespace: name}, {Name: "*-staging-*", Namespace: name}, {Name: "*-dev-*", Namespace: name + "*"}, {Name: "busy-*", Namespace: name},
		},
		ClusterResourceWhitelist: []model.KindRule{{Group: "", Kind: "Namespace"}},
	}
	at := s.now.Add(-400 * 24 * time.Hour)
	return []any{name, encode(p), at, at}
}

func (s seed) clusterRow(i int) []any {
	at := s.now.Add(-time.Duration(i%300+30) * 24 * time.Hour)
	labels := map[string]string{"env": stages[i%len(stages)], "region": regions[i%len(regions)], "site": fmt.Sprintf("site-%03d", i%250), "tier": []string{"gold", "silver", "bronze"}[i%3], "owner": fmt.Sprintf("unit-%02d", i%40)}
	conditions := []string{}
	if i%60 == 7 {
		conditions = append(conditions, "WatchFailed: the agent may not list secrets")
	}
	var namespaced []string
	for _, k := range kinds {
		group, kind, _ := strings.Cut(k, "/")
		if version, name, more := strings.Cut(kind, "/"); more {
			_, kind = version, name
		} else {
			group = ""
		}
		if kind != "Namespace" && !strings.HasPrefix(kind, "Cluster") && kind != "CustomResourceDefinition" {
			namespaced = append(namespaced, strings.TrimPrefix(group+"/"+kind, "/"))
		}
	}
	return []any{seedID("cluster", i), s.cluster(i), encode(labels), at, at, s.now.Add(60 * 24 * time.Hour), []string{"0.9.0", "0.9.1", "1.0.0"}[i%3],
		kubeVersions[i%3], "linux/amd64", i%40 + 3, i%90 + 10, conditions, kinds, namespaced, s.now, i%500 == 499}
}

func (s seed) sessionRow(i int, incarnation, first int64) []any {
	state := sessionOf(i)
	if state == "never" {
		return nil
	}
	seen := s.now
	var closed *time.Time
	switch state {
	case "silent":
		seen = s.now.Add(-20 * time.Minute)
	case "closed":
		seen = s.now.Add(-time.Duration(i%200+1) * time.Hour)
		closed = &seen
	}
	return []any{seedID("cluster", i), incarnation, first + int64(i), "seed-" + state, s.now.Add(-30 * 24 * time.Hour), closed, seen, int64(1000), seen, int64(i%90+4) * 1000, int64(0)}
}

// connectionRow has an hour of every cluster that is not heard of any more.
func (s seed) connectionRow(n int) []any {
	i, line := n/3, n%3
	if state := sessionOf(i); state != "silent" && state != "closed" {
		return nil
	}
	row := [][]any{
		{"lost", "session_broken", "the connection broke"},
		{"connected", "", ""},
		{"lost", "session_silent", "nothing was heard of the agent for 25s"},
	}[line]
	return append([]any{seedID("cluster", i), s.now.Add(-time.Duration(50-15*line) * time.Minute)}, row...)
}

func (s seed) appDocument(i int) model.Application {
	p := i % s.projects
	_, c := s.clusterOf(i)
	cluster := fmt.Sprintf("busy-%03d", -1-c)
	if c >= 0 {
		cluster = s.cluster(c)
	}
	a := model.Application{APIVersion: "argoproj.io/v1alpha1", Kind: "Application"}
	a.Metadata.Name = s.app(i)
	a.Metadata.Labels = map[string]string{"service": services[i%len(services)], "team": s.project(i), "criticality": []string{"high", "normal", "low"}[i%3]}
	a.Spec.Project = s.project(i)
	a.Spec.Source = &model.Source{RepoURL: s.repo(p), Path: fmt.Sprintf("p%03d", p), TargetRevision: "main"}
	a.Spec.Destination = model.Destination{Name: cluster, Namespace: s.project(i)}
	return a
}

func (s seed) appRow(i int) []any {
	a := s.appDocument(i)
	id, _ := s.clusterOf(i)
	at := s.now.Add(-time.Duration(i%200+1) * 24 * time.Hour)
	src := a.Spec.Source
	return []any{seedID("app", i), a.Metadata.Name, a.Spec.Project, id, encode(a), at, at.Add(3 * time.Hour), a.Spec.Destination.Namespace,
		src.RepoURL, src.Path, src.TargetRevision, i%4 != 0, encode(a.Metadata.Labels)}
}

// statusOf is what the agent of an application said last; ok is false when it
// never said anything.
func (s seed) statusOf(i int) (st model.AppStatus, ok bool) {
	if _, c := s.clusterOf(i); c >= 0 && sessionOf(c) == "never" || pick(i, 1, 2, "never", 98, "") == "never" {
		return st, false
	}
	since := s.now.Add(-time.Duration(i%700+1) * time.Minute)
	st.Generation = 1
	st.Revision = fmt.Sprintf("%040x", uint64(i%s.projects)*0x9E3779B97F4A7C15)
	sync, reason, _ := strings.Cut(pick(i, 2, 82, "Synced ", 8, "OutOfSync drifted", 6, "OutOfSync pending", 4, "Unknown "), " ")
	st.Sync = model.SyncFacet{Status: model.SyncStatus(sync), Reason: model.SyncReason(reason)}
	st.Health = model.HealthFacet{Status: model.Health(pick(i, 3, 80, "Healthy", 5, "Progressing", 6, "Degraded", 3, "Suspended", 3, "Missing", 3, "Unknown")), Since: &since}
	if st.Health.Status == model.HealthDegraded {
		st.Health.Message = "Deployment " + s.project(i) + "/web: 1 of 3 replicas is available: ImagePullBackOff"
	}
	if pick(i, 4, 6, "error", 94, "") == "error" {
		st.Conditions = []model.Condition{{Type: "SyncError", Code: "apply_refused", Message: "Deployment web: admission webhook \"policy.example.com\" denied the request: images must be signed", Since: &since}}
	}
	for k := range 6 {
		r := model.ResourceStatus{Version: "v1", Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy, Since: &since}}
		r.Kind, r.Name, r.Namespace = []string{"ConfigMap", "Service", "ServiceAccount", "Deployment", "Ingress", "NetworkPolicy"}[k], "web", s.project(i)
		r.Group = []string{"", "", "", "apps", "networking.k8s.io", "networking.k8s.io"}[k]
		st.Resources = append(st.Resources, r)
	}
	s.deployment(i, &st, &since)
	return st, true
}

// deployment makes the Deployment the object that an application's health and drift
// come from.
func (s seed) deployment(i int, st *model.AppStatus, since *time.Time) {
	for k := range st.Resources {
		if r := &st.Resources[k]; r.Kind == "Deployment" {
			r.Health, r.Sync, r.Differences = st.Health, st.Sync, nil
			if st.Sync.Status == model.SyncOutOfSync {
				r.Differences = driftOf(i, since)
			}
		}
	}
}

// driftOf are the fields in which an application's Deployment differs: as many and as
// others made them as it goes.
func driftOf(i int, since *time.Time) []model.FieldDifference {
	return []model.FieldDifference{
		{Path: ".spec.replicas", Desired: "3", Live: "5", Manager: "kubectl-scale", ChangedAt: since},
		{Path: ".spec.template.spec.containers[name=web].resources.limits.memory", Desired: `"512Mi"`, Live: `"256Mi"`, Manager: "kubectl-edit", ChangedAt: since},
		{Path: `.metadata.annotations["example.com/owner"]`, Live: `"on-call"`, Manager: "incident-bot", ChangedAt: since},
	}[:i%3+1]
}

func (s seed) observedRow(i int, incarnation, first int64) []any {
	st, ok := s.statusOf(i)
	if !ok {
		return nil
	}
	_, c := s.clusterOf(i)
	number, at := int64(0), s.now.Add(-time.Duration(i%50)*time.Second)
	if c >= 0 {
		number = first + int64(c)
		if state := sessionOf(c); state != "live" {
			at = at.Add(-25 * time.Minute)
		}
	}
	var conditions any
	if len(st.Conditions) > 0 {
		conditions = encode(st.Conditions)
	}
	return []any{seedID("app", i), incarnation, number, int64(i % 900), int64(1), at, at, st.Revision, string(st.Sync.Status), string(st.Sync.Reason),
		string(st.Health.Status), st.Health.Message, st.Health.Since, conditions}
}

func (s seed) detailRow(i int) []any {
	st, ok := s.statusOf(i)
	if !ok {
		return nil
	}
	tree := encode(s.treeOf(i))
	return []any{seedID("app", i), encode(st), tree, s.now, fmt.Sprintf("%x", sha256.Sum256([]byte(tree)))}
}

// operationRow: every application has had two operations.
func (s seed) operationRow(i int) []any {
	app := i % s.applications
	cluster, _ := s.clusterOf(app)
	phase := pick(i, 5, 86, "Succeeded", 7, "Failed", 2, "Superseded", 2, "Expired", 2, "Terminated", 1, "Running")
	created := s.now.Add(-time.Duration(2*s.applications-i) * time.Minute)
	started, finished, deadline := created.Add(time.Second), new(time.Time), s.now.Add(24*time.Hour)
	*finished = created.Add(20 * time.Second)
	if phase == "Running" {
		if finished = nil; i < s.applications {
			phase = "Terminated"
			finished = &started
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		panic(err) // the random source of the system never fails
	}
	return []any{id.String(), int64(i + 1), seedID("app", app), s.app(app), cluster, "sync", encode(model.OperationSpec{Prune: app%4 == 0}), phase,
		"", "admin", created, started, finished, deadline, int64(1), s.project(app)}
}

// beat keeps the living sessions alive, as the hub does for those that it serves,
// until ctx ends.
func (s seed) beat(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		if _, err := conn.Exec(ctx, "UPDATE sessions SET last_seen = now(), confirmed_at = now() WHERE instance = 'seed-live'"); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("keep the seeded sessions alive: %w", err)
		}
		if restFor(ctx, 10*time.Second) != nil {
			return nil
		}
	}
}
