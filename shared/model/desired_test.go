package model

import "testing"

func TestWithdrawModeOf(t *testing.T) {
	for _, c := range []struct {
		spec OperationSpec
		want WithdrawMode
	}{
		{OperationSpec{}, WithdrawOrphan},
		{OperationSpec{Propagation: "Background"}, WithdrawOrphan},
		{OperationSpec{Cascade: true}, WithdrawCascade},
		{OperationSpec{Cascade: true, Propagation: "Foreground"}, WithdrawCascade},
		{OperationSpec{Cascade: true, Propagation: "Background"}, WithdrawCascadeBackground},
	} {
		got := WithdrawModeOf(c.spec)
		if got != c.want || !got.Valid() || got.Cascades() != c.spec.Cascade {
			t.Errorf("%+v: %q (valid %v, cascades %v), want %q", c.spec, got, got.Valid(), got.Cascades(), c.want)
		}
	}
	if WithdrawMode("").Valid() || WithdrawMode("all").Valid() {
		t.Error("an unknown mode is valid")
	}
}
