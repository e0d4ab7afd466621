package sync

import "github.com/hawser-dev/hawser/shared/policy"

// Selection says which objects a selective sync is about; see policy.Selection.
// A nil one is about all.
type Selection = policy.Selection

// ParseSelection reads OperationSpec.Resources.
func ParseSelection(entries []string) (*Selection, error) { return policy.ParseSelection(entries) }
