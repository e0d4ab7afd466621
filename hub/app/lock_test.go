package app

import (
	"context"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestOneHubPerDataDirectory(t *testing.T) {
	dir := t.TempDir()
	release, err := lockDataDir(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDataDir(context.Background(), dir); !fault.HasCode(err, "data_dir_in_use") {
		t.Fatalf("a second hub on the directory: %v", err)
	}
	release()
	again, err := lockDataDir(context.Background(), dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again()
}
