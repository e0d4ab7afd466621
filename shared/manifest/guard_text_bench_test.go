package manifest

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// What agents say is read for Secrets on its way into the hub: a sentence as most
// are, and the longest that somebody hostile sends.
func BenchmarkGuardText(b *testing.B) {
	for name, text := range map[string]string{
		"sentence": "Deployment web: 2 of 3 replicas are ready: container api was killed for its memory (exit code 137)",
		"512KiB":   strings.Repeat("xxxxxxxx", 64<<10),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				GuardText(model.ObjectKey{}, text)
			}
		})
	}
}
