package decode

import (
	"strings"
	"testing"
)

func TestIntegrityOfChartsIsRefusedWithWhatThereIs(t *testing.T) {
	_, err := Project([]byte("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: p}\nspec:\n  sourceIntegrity:\n    helm: {policies: []}\n"))
	if err == nil || !strings.Contains(err.Error(), "signatures are verified of Git sources alone") {
		t.Error(err)
	}
}
