package observe

import (
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// RecordOf is the record that an Observer without overrides keeps of a whole object
// as the API server has it, but for the time since when it has its health. It is for
// those who stand in for a cluster. raw is not kept.
func RecordOf(gk model.GroupKind, raw []byte) (live.Record, error) {
	var t trimmer
	return t.record(gk, "", raw, true)
}
