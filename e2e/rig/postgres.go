package rig

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PostgresPID is the process id of the hub's private Postgres.
func (h *Hub) PostgresPID() (int, error) {
	var pid int
	err := filepath.WalkDir(h.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "postmaster.pid" {
			return nil // files come and go below a running hub
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(b), "\n")
		if pid, err = strconv.Atoi(strings.TrimSpace(first)); err != nil {
			return fmt.Errorf("postmaster.pid: %w", err)
		}
		return fs.SkipAll
	})
	if err == nil && pid <= 1 {
		err = fmt.Errorf("the hub has no private Postgres that runs")
	}
	return pid, err
}
