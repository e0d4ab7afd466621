package backup

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestMain(m *testing.M) { dbtest.Run(m) }

func box(t *testing.T, b byte) *vault.Box {
	t.Helper()
	v, err := vault.New(bytes.Repeat([]byte{b}, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func exec(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var out *string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if out == nil {
		return ""
	}
	return *out
}

// used is a database with something of everything that a restore has to be careful with.
func used(t *testing.T) string {
	t.Helper()
	dsn := dbtest.Postgres(t)
	exec(t, dsn,
		`INSERT INTO hub (hub_id, incarnation, incarnation_signature) VALUES ('hub-1', 3, '\x01')`,
		`INSERT INTO secrets (name, sealed) VALUES ('ca', '\x00ff10')`,
		`INSERT INTO clusters (id, name, created_at) VALUES ('c1', 'eu', now())`,
		`INSERT INTO sessions (cluster_id, incarnation, number, instance, opened_at, last_seen) VALUES ('c1', 3, 17, 'i', now(), now())`,
		"INSERT INTO projects (name, document, created_at, updated_at) VALUES ('shop', '{\"text\":\t\"\\\\N ü \\n\"\n}', now(), now())",
		`SELECT setval('operation_seq', 4711)`,
		`INSERT INTO jobs (id, kind, initiated_by, token, created_at) VALUES ('j1', 'sync', 'alice', 't', now())`,
		`INSERT INTO job_items (job, number, application, phase) VALUES ('j1', 1, 'web', 'Accepted'), ('j1', 2, 'api', 'Pending')`,
		`SELECT audit_partition((now() - interval '40 days')::date)`,
	)
	return dsn
}

func back(t *testing.T, dsn string, key Sealer) ([]byte, Manifest) {
	t.Helper()
	var out bytes.Buffer
	m, err := Write(t.Context(), dsn, key, "v1.2.3", &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), m
}

func TestADatabaseComesBackAsItWas(t *testing.T) {
	from, key := used(t), box(t, 1)
	file, m := back(t, from, key)
	if m.Hub != "hub-1" || m.Incarnation != 3 || m.Rows() < 6 {
		t.Fatalf("%+v", m)
	}
	to := dbtest.Empty(t)
	if _, err := Read(t.Context(), to, key, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	// What a second backup has is what the first had, but for what a restore changes.
	_, again := back(t, to, key)
	changes := []string{"hub", "sessions", "jobs", "job_items"}
	for i, table := range m.Tables {
		other := again.Tables[i]
		if table.Name != other.Name || table.Rows != other.Rows {
			t.Errorf("%s: %d rows, then %s: %d", table.Name, table.Rows, other.Name, other.Rows)
		}
		if table.SHA256 != other.SHA256 && !slices.Contains(changes, table.Name) {
			t.Errorf("%s has other rows", table.Name)
		}
	}
	if !slices.Equal(m.Sequences, again.Sequences) {
		t.Errorf("sequences %v, then %v", m.Sequences, again.Sequences)
	}
	for sql, want := range map[string]string{
		`SELECT hold_deletes::text FROM hub`:                                                "true",
		`SELECT count(*)::text FROM sessions WHERE closed_at IS NULL`:                       "0",
		`SELECT number::text FROM sessions`:                                                 "17",
		`SELECT string_agg(phase, ' ' ORDER BY number) FROM job_items`:                      "Accepted Cancelled",
		`SELECT cancelled_by FROM jobs`:                                                     "the restore of a backup",
		`SELECT nextval('operation_seq')::text`:                                             "4712",
		`SELECT max(version_id)::text FROM goose_db_version`:                                query(t, from, `SELECT max(version_id)::text FROM goose_db_version`),
		`SELECT (SELECT array_agg(name ORDER BY name) FROM projects)::text`:                 query(t, from, `SELECT (SELECT array_agg(name ORDER BY name) FROM projects)::text`),
		`SELECT document::text FROM projects WHERE name = 'shop'`:                           query(t, from, `SELECT document::text FROM projects WHERE name = 'shop'`),
		`SELECT encode(sealed, 'hex') FROM secrets WHERE name = 'ca'`:                       "00ff10",
		`SELECT count(*)::text FROM pg_inherits WHERE inhparent = 'audit'::regclass`:        query(t, to, `SELECT count(*)::text FROM pg_inherits WHERE inhparent = 'audit'::regclass`),
		`SELECT count(*)::text FROM login_sessions`:                                         "0",
		`SELECT count(*)::text FROM pg_trigger WHERE tgname = 'audit_append_only'`:          query(t, to, `SELECT count(*)::text FROM pg_trigger WHERE tgname = 'audit_append_only'`),
		`SELECT count(*)::text FROM pg_constraint WHERE contype = 'f' AND NOT convalidated`: "0",
	} {
		if got := query(t, to, sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestAuditRecordsComeBackIntoTheirMonths(t *testing.T) {
	from, key := used(t), box(t, 1)
	columns := query(t, from, `SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'audit'::regclass AND attnum > 0 AND attgenerated = '' AND attnotnull`)
	if !strings.Contains(columns, "part date") {
		t.Fatalf("the columns of audit are %s", columns)
	}
	// Every column that has to be given, of whatever type, for two months.
	exec(t, from, `DO $$
	DECLARE names text; vals text; day date;
	BEGIN
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
		       string_agg(CASE WHEN attname = 'part' THEN '$1' WHEN attname = 'record' THEN quote_literal('{"kind": "command"}')
		         WHEN attname = 'seq' THEN 'extract(epoch from $1::timestamptz)::bigint'
		         WHEN format_type(atttypid, atttypmod) = 'bytea' THEN quote_literal('\x01')
		         WHEN format_type(atttypid, atttypmod) LIKE 'timestamp%' THEN '$1::timestamptz' ELSE quote_literal('1') END, ', ' ORDER BY attnum)
		INTO names, vals FROM pg_attribute WHERE attrelid = 'audit'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attnotnull;
		FOREACH day IN ARRAY ARRAY[current_date, current_date - 40] LOOP
			PERFORM audit_partition(day);
			EXECUTE 'INSERT INTO audit (' || names || ') VALUES (' || vals || ')' USING day;
		END LOOP;
	END $$`)
	file, m := back(t, from, key)
	if len(m.AuditMonths) != 2 {
		t.Fatalf("months %v", m.AuditMonths)
	}
	to := dbtest.Empty(t)
	if _, err := Read(t.Context(), to, key, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	all := `SELECT string_agg(a::text, E'\n' ORDER BY seq) FROM audit a`
	if got, want := query(t, to, all), query(t, from, all); got != want || want == "" {
		t.Errorf("records\n%s\nwant\n%s", got, want)
	}
}

// archiveOf changes files of a backup; nil takes one out.
func archiveOf(t *testing.T, file []byte, change map[string]func([]byte) []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		c, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		how, ok := change[f.Name]
		if ok && how == nil {
			continue
		}
		if ok {
			raw = how(raw)
		}
		e, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsNoWholeBackupRestoresNothing(t *testing.T) {
	key := box(t, 1)
	file, m := back(t, used(t), key)
	resealed := func(change func(*Manifest)) []byte {
		changed := m
		change(&changed)
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		if err := writeManifest(w, changed, key); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, c := range map[string]struct {
		file []byte
		key  Sealer
		code string
	}{
		"another vault key":   {file, box(t, 2), "backup_key_wrong"},
		"cut short":           {file[:len(file)-200], key, "backup_damaged"},
		"empty":               {nil, key, "backup_damaged"},
		"no archive":          {[]byte("SELECT 1;"), key, "backup_damaged"},
		"no seal":             {archiveOf(t, file, map[string]func([]byte) []byte{sealName: nil}), key, "backup_damaged"},
		"a table is missing":  {archiveOf(t, file, map[string]func([]byte) []byte{"tables/users": nil}), key, "backup_damaged"},
		"a row was added":     {archiveOf(t, file, map[string]func([]byte) []byte{"tables/clusters": func(b []byte) []byte { return append(bytes.Clone(b), b...) }}), key, "backup_damaged"},
		"a row was changed":   {archiveOf(t, file, map[string]func([]byte) []byte{"tables/clusters": func(b []byte) []byte { return bytes.Replace(b, []byte("eu"), []byte("us"), 1) }}), key, "backup_damaged"},
		"a row was taken out": {archiveOf(t, file, map[string]func([]byte) []byte{"tables/clusters": func([]byte) []byte { return nil }}), key, "backup_damaged"},
		"the manifest was changed": {archiveOf(t, file, map[string]func([]byte) []byte{manifestName: func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"incarnation": 3`), []byte(`"incarnation": 9`), 1)
		}}), key, "backup_damaged"},
		"a manifest that is huge": {archiveOf(t, file, map[string]func([]byte) []byte{manifestName: func([]byte) []byte { return make([]byte, maxManifest+1) }}), key, "backup_damaged"},
		"a format of tomorrow":    {resealed(func(m *Manifest) { m.Format = format + 1 }), key, "backup_too_new"},
		"a schema of tomorrow":    {resealed(func(m *Manifest) { m.Schema = migrations.Newest() + 1 }), key, "backup_too_new"},
		"a table nobody knows":    {resealed(func(m *Manifest) { m.Tables = append(slices.Clone(m.Tables), Table{Name: "pg_authid"}) }), key, "backup_damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			to := dbtest.Empty(t)
			_, err := Read(t.Context(), to, c.key, bytes.NewReader(c.file), int64(len(c.file)))
			if !fault.HasCode(err, c.code) {
				t.Errorf("%v, want %s", err, c.code)
			}
			if got := query(t, to, `SELECT to_regclass('clusters')::text`); got != "" {
				if n := query(t, to, `SELECT (SELECT count(*) FROM clusters) + (SELECT count(*) FROM hub) || ''`); n != "0" {
					t.Errorf("%s rows are there", n)
				}
			}
		})
	}
}

func TestARestoreReplacesNothing(t *testing.T) {
	key := box(t, 1)
	file, _ := back(t, used(t), key)
	other := used(t)
	_, err := Read(t.Context(), other, key, bytes.NewReader(file), int64(len(file)))
	if !fault.HasCode(err, "database_in_use") {
		t.Errorf("%v", err)
	}
	if got := query(t, other, `SELECT hold_deletes::text FROM hub`); got != "false" {
		t.Error("the database was touched")
	}
	// One that was only migrated is as good as an empty one.
	fresh := dbtest.Postgres(t)
	if _, err := Read(t.Context(), fresh, key, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Error(err)
	}
}

func TestABackupIsOfOneMoment(t *testing.T) {
	from, key := used(t), box(t, 1)
	conn, err := pgx.Connect(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	// The tokens are read before the clusters, and are too many for a buffer.
	exec(t, from, `INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at)
		SELECT 't' || n, md5(random()::text) || md5(random()::text), decode(md5(random()::text) || md5(random()::text), 'hex'), false, now(), now() FROM generate_series(1, 4000) n`)
	w := &during{do: func() {
		if _, err := conn.Exec(t.Context(), `INSERT INTO clusters (id, name, created_at) SELECT 'c' || n, 'n' || n, now() FROM (SELECT count(*) + 1 FROM clusters) AS c(n)`); err != nil {
			t.Error(err)
		}
	}}
	m, err := Write(t.Context(), from, key, "v1", w)
	if err != nil {
		t.Fatal(err)
	}
	if w.times < 2 {
		t.Fatalf("written %d times meanwhile", w.times)
	}
	for _, table := range m.Tables {
		if table.Name == "clusters" && table.Rows != 1 {
			t.Errorf("%d clusters, want the one of the beginning", table.Rows)
		}
	}
}

// during does something at each write.
type during struct {
	times int
	do    func()
}

func (d *during) Write(p []byte) (int, error) {
	d.times++
	d.do()
	return len(p), nil
}

func TestEveryTableIsInABackupOrLeftWithAReason(t *testing.T) {
	dsn := used(t)
	_, m := back(t, dsn, box(t, 1))
	var all []string
	if err := json.Unmarshal([]byte(query(t, dsn, `SELECT json_agg(relname ORDER BY relname)::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)), &all); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, table := range m.Tables {
		there[table.Name] = true
	}
	for _, name := range all {
		if _, left := Left[name]; left == there[name] {
			t.Errorf("%s: in the backup %v, left %v", name, there[name], left)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(Left)) {
		if !slices.Contains(all, name) {
			t.Errorf("%s is left, and there is no such table", name)
		}
	}
}
