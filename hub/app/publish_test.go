package app

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestPublishedOperationsNameNoObjects(t *testing.T) {
	op := model.OperationInfo{ID: "op", Result: &model.OperationResult{Revision: "c1", WouldPrune: 3, Resources: make([]model.ResourceResult, 5000)}}
	got := withoutObjects(op)
	if got.Result.Resources != nil || got.Result.Revision != "c1" || got.Result.WouldPrune != 3 {
		t.Errorf("published %+v", got.Result)
	}
	if len(op.Result.Resources) != 5000 {
		t.Error("the operation itself was changed")
	}
	if withoutObjects(model.OperationInfo{ID: "op"}).Result != nil {
		t.Error("a result came from nowhere")
	}
}
