package reconcile

import "testing"

func TestWhichJudgementsStand(t *testing.T) {
	for name, c := range map[string]struct {
		j                 judgement
		mayAsk, confirmed bool
		want              bool
	}{
		"the same":                                {judgement{same: true}, true, true, true},
		"it differs, and applying is the test":    {judgement{}, false, true, true},
		"it differs, and the server can be asked": {judgement{}, true, true, false},
		"it differs, as the server says":          {judgement{asked: true}, true, true, true},
		"nobody could compare":                    {judgement{failed: true}, false, true, false},
		"doubtful, before the first sync":         {judgement{same: true, doubtful: true}, true, false, true},
		"doubtful, and the server did not answer": {judgement{same: true, doubtful: true}, true, true, false},
		"doubtful, and applying is the test":      {judgement{same: true, doubtful: true}, false, true, false},
		"doubtful, and the server has answered":   {judgement{same: true, doubtful: true, asked: true}, true, true, true},
	} {
		if got := c.j.settled(c.mayAsk, c.confirmed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
