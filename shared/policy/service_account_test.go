package policy

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestM05_ServiceAccountOfTheFirstMatchingEntry(t *testing.T) {
	entry := func(server, namespace, account string) model.DestinationServiceAccount {
		return model.DestinationServiceAccount{Server: server, Namespace: namespace, DefaultServiceAccount: account}
	}
	eu := Destination{Name: "eu", Aliases: []string{"https://eu.example.com", "https://10.0.0.1:6443"}, Namespace: "shop"}
	for name, c := range map[string]struct {
		entries []model.DestinationServiceAccount
		dest    Destination
		user    string
		code    string
	}{
		"no entries: the agent itself":                      {dest: eu},
		"by server and namespace":                           {[]model.DestinationServiceAccount{entry("https://eu.example.com", "shop", "deployer")}, eu, "system:serviceaccount:shop:deployer", ""},
		"any of the servers":                                {[]model.DestinationServiceAccount{entry("https://10.0.0.1:6443", "shop", "deployer")}, eu, "system:serviceaccount:shop:deployer", ""},
		"the server as written":                             {[]model.DestinationServiceAccount{entry("https://written", "*", "a")}, Destination{Server: "https://written", Namespace: "shop"}, "system:serviceaccount:shop:a", ""},
		"star crosses slashes and dots":                     {[]model.DestinationServiceAccount{entry("https*", "s*p", "a")}, eu, "system:serviceaccount:shop:a", ""},
		"first wins":                                        {[]model.DestinationServiceAccount{entry("*", "shop", "one"), entry("*", "*", "two")}, eu, "system:serviceaccount:shop:one", ""},
		"later entry":                                       {[]model.DestinationServiceAccount{entry("*", "other", "one"), entry("*", "*", "two")}, eu, "system:serviceaccount:shop:two", ""},
		"namespace of its own":                              {[]model.DestinationServiceAccount{entry("*", "*", "accounts:deployer")}, eu, "system:serviceaccount:accounts:deployer", ""},
		"no match":                                          {[]model.DestinationServiceAccount{entry("*", "other", "one")}, eu, "", CodeServiceAccount},
		"other server":                                      {[]model.DestinationServiceAccount{entry("https://us.example.com", "*", "one")}, eu, "", CodeServiceAccount},
		"an empty namespace matches none":                   {[]model.DestinationServiceAccount{entry("*", "", "one")}, eu, "", CodeServiceAccount},
		"an exclamation mark is a character":                {[]model.DestinationServiceAccount{entry("*", "!other", "one")}, eu, "", CodeServiceAccount},
		"a broken glob matches nothing":                     {[]model.DestinationServiceAccount{entry("*", "[", "one")}, eu, "", CodeServiceAccount},
		"a cluster without servers, by star":                {[]model.DestinationServiceAccount{entry("*", "*", "a")}, Destination{Name: "edge", Namespace: "n"}, "system:serviceaccount:n:a", ""},
		"a cluster without servers, by name":                {[]model.DestinationServiceAccount{entry("ed*", "*", "a")}, Destination{Name: "edge", Namespace: "n"}, "system:serviceaccount:n:a", ""},
		"a name is no server of others":                     {[]model.DestinationServiceAccount{entry("eu", "*", "a")}, eu, "", CodeServiceAccount},
		"empty account":                                     {[]model.DestinationServiceAccount{entry("*", "*", " ")}, eu, "", CodeServiceAccountInvalid},
		"account with a pattern":                            {[]model.DestinationServiceAccount{entry("*", "*", "dep*")}, eu, "", CodeServiceAccountInvalid},
		"account with a line break":                         {[]model.DestinationServiceAccount{entry("*", "*", "a\r\nImpersonate-Group: system:masters")}, eu, "", CodeServiceAccountInvalid},
		"account with two colons":                           {[]model.DestinationServiceAccount{entry("*", "*", "a:b:c")}, eu, "", CodeServiceAccountInvalid},
		"account of no namespace":                           {[]model.DestinationServiceAccount{entry("*", "*", ":a")}, eu, "", CodeServiceAccountInvalid},
		"capital letters":                                   {[]model.DestinationServiceAccount{entry("*", "*", "Deployer")}, eu, "", CodeServiceAccountInvalid},
		"a broken first match does not let the next one in": {[]model.DestinationServiceAccount{entry("*", "*", "{}"), entry("*", "*", "fine")}, eu, "", CodeServiceAccountInvalid},
		"no namespace anywhere":                             {[]model.DestinationServiceAccount{entry("*", "*", "a")}, Destination{Name: "edge"}, "", CodeServiceAccountInvalid},
		"no namespace but the account's":                    {[]model.DestinationServiceAccount{entry("*", "*", "n:a")}, Destination{Name: "edge"}, "system:serviceaccount:n:a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			account, d := ChooseServiceAccount(Project{Name: "p", Spec: model.AppProjectSpec{DestinationServiceAccounts: c.entries}}, c.dest)
			if account.User() != c.user {
				t.Errorf("user %q, want %q", account.User(), c.user)
			}
			switch {
			case c.code == "" && (!d.Allowed || d.Refused != 0):
				t.Errorf("refused: %+v", d)
			case c.code != "" && (d.Allowed || len(d.Refusals) != 1 || d.Refusals[0].Code != c.code):
				t.Errorf("want %s: %+v", c.code, d)
			case c.code != "" && (account != ServiceAccount{}):
				t.Error("a refusal names an account")
			}
			if len(d.Checks) != 1 {
				t.Errorf("%d checks", len(d.Checks))
			}
		})
	}
}

func TestCheckServiceAccount(t *testing.T) {
	good := model.DestinationServiceAccount{Server: "*", Namespace: "*", DefaultServiceAccount: "a"}
	if err := CheckServiceAccount(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []model.DestinationServiceAccount{
		{Server: "[", Namespace: "*", DefaultServiceAccount: "a"}, {Server: "*", Namespace: "{", DefaultServiceAccount: "a"},
		{Server: "*", Namespace: "*"}, {Server: "*", Namespace: "*", DefaultServiceAccount: strings.Repeat("a", 300)},
	} {
		if CheckServiceAccount(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
