package model

import "time"

// Pin holds an application at a past deployment, after a rollback, while
// automated sync stays on: what its agent heals to is that deployment. The
// revision that was set aside is not deployed again until a source brings
// another one, or somebody asks for it.
type Pin struct {
	// HistoryID of the deployment that was gone back to. It is 0 when the pin came
	// by itself, because the sources came back to what a rollback that was over had
	// set aside; what was desired then stays.
	HistoryID int64 `json:"historyID"`
	// Generation that the rollback issued.
	Generation Generation `json:"generation"`
	// Revision that is deployed, and SetAside, which is not.
	Revision Revision `json:"revision"`
	SetAside Revision `json:"setAside"`

	InitiatedBy string      `json:"initiatedBy,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Operation   OperationID `json:"operation,omitempty"`
	At          time.Time   `json:"at"`
}
