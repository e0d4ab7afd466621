package canary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/canary/search"
)

// said is what was answered, by the question.
type said struct {
	mu sync.Mutex
	by map[string][]byte
}

func (s *said) add(what string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string][]byte{}
	}
	s.by[what] = append(append(s.by[what], b...), '\n')
}

func (s *said) size(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by[what])
}

func (s *said) look(by *search.Searcher) (out []search.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, b := range s.by {
		out = append(out, by.Bytes(what, b)...)
	}
	return out
}

// processes samples arguments and environments of processes and all below them.
type processes struct {
	roots map[int]string
	said  said
	kinds map[string]bool // of children that were seen
	mu    sync.Mutex
}

// watch samples until ctx ends.
func (p *processes) watch(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last := map[string]bool{}
	for {
		parents := map[int]int{}
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
			if err != nil {
				continue // it has ended
			}
			if i := bytes.LastIndexByte(stat, ')'); i > 0 {
				if f := strings.Fields(string(stat[i+1:])); len(f) > 1 {
					parents[pid], _ = strconv.Atoi(f[1])
				}
			}
		}
		for pid := range parents {
			name := ""
			for at, hops := pid, 0; at > 1 && hops < 20; at, hops = parents[at], hops+1 {
				if root, ok := p.roots[at]; ok {
					if name = root; at != pid {
						name = "a child of " + root
					}
					break
				}
			}
			if name == "" {
				continue
			}
			for _, file := range []string{"cmdline", "environ"} {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
				if err != nil || len(b) == 0 {
					continue
				}
				if key := name + file + string(b); !last[key] {
					last[key] = true
					p.said.add(file+" of "+name, b)
					p.mu.Lock()
					p.kinds[name] = true
					p.mu.Unlock()
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// files looks into all files below a directory; what is removed meanwhile is none.
func files(by *search.Searcher, label, dir string) (out []search.Finding, count int, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		count++
		found, err := by.Reader(label+strings.TrimPrefix(path, dir), f, st.Size())
		out = append(out, found...)
		return err
	})
	return out, count, err
}

// columns have TOAST written as it is, not with Postgres's own compression, so that
// what is in data files and in the write-ahead log can be read there.
func columns(ctx context.Context, db *pgx.Conn) error {
	rows, err := db.Query(ctx, `SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I SET STORAGE EXTERNAL', n.nspname, c.relname, a.attname)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND a.attnum > 0 AND NOT a.attisdropped
		AND t.typstorage IN ('x', 'm', 'e') AND a.attstorage <> 'p'`)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(statements) < 20 {
		return fmt.Errorf("only %d columns were found", len(statements))
	}
	for _, s := range statements {
		if _, err := db.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// database looks into the files of Postgres after a checkpoint, and into all rows of
// all tables as Postgres writes them, in which bytes are hexadecimal digits.
func database(ctx context.Context, by *search.Searcher, db *pgx.Conn) (out []search.Finding, rowCount int, err error) {
	if _, err := db.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, 0, err
	}
	var dir string
	if err := db.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return nil, 0, err
	}
	out, count, err := files(by, "Postgres", dir)
	if err == nil && count < 100 {
		err = fmt.Errorf("Postgres has %d files", count)
	}
	if err != nil {
		return nil, 0, err
	}
	rows, err := db.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return nil, 0, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, 0, err
	}
	for _, table := range tables {
		rows, err := db.Query(ctx, "SELECT t::text FROM "+table+" t")
		if err != nil {
			return nil, 0, err
		}
		text, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, 0, err
		}
		rowCount += len(text)
		for _, row := range text {
			out = append(out, by.Bytes("rows of "+table, []byte(row))...)
		}
	}
	return out, rowCount, nil
}
