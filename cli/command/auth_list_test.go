package command

import "testing"

func TestWhatOneMayDo(t *testing.T) {
	answers := everything()
	answers["GET /whoami?rules=true"] = answer{200, `{"name":"ana","admin":false,"grants":[{"project":"shop","role":"viewer"},{"project":"pay-*","role":"operator"}]}`}
	newHubOf(t, answers)
	run(t, "", "auth", "can-i", "--list").check(t, 0, "get,logs,events,sync,rollback,refresh,terminate,action,exec", "")
	run(t, "", "auth", "can-i", "--list", "-o", "json").check(t, 0, `"kind": "RightList"`, "")
	run(t, "", "auth", "can-i", "--list", "get").check(t, 2, "", "takes no arguments")
	run(t, "", "auth", "can-i").check(t, 2, "", "takes 2 arguments")
	answers["GET /whoami"] = answer{200, `{"name":"ana","admin":false,"grants":[{"project":"shop","role":"viewer"}]}`}
	run(t, "", "auth", "whoami").check(t, 0, "ana\n", "viewer in shop by a grant")
	answers["GET /whoami?rules=true"] = answer{200, `{"name":"root","admin":true}`}
	run(t, "", "auth", "can-i", "--list").check(t, 0, "*        administrator  *                        allow   account\n", "root is an administrator")
	answers["GET /whoami?rules=true"] = answer{200, `{"name":"A name","subject":"s1","policyAdmin":true,"rulesTotal":3,"rules":[{"as":"devs","resource":"applications","action":"sync","object":"shop/*","effect":"deny","where":"policy.csv line 2"}]}`}
	run(t, "", "auth", "can-i", "--list").check(t, 0, "devs  sync   applications  shop/*  deny    policy.csv line 2\n", "and 2 more lines of the policy")
	answers["POST /can-i/list"] = answer{200, `{"subject":"user:ann","admin":false,"grants":[{"project":"bank","role":"viewer"}]}`}
	run(t, "", "auth", "can-i", "--list", "--as", "ann").check(t, 0, "bank     viewer  get,logs,events                    allow   grants\n", "")
	answers["POST /can-i/list"] = answer{200, `{"subject":"group:x","policyAdmin":true}`}
	run(t, "", "auth", "can-i", "--list", "--as-group", "x").check(t, 0, "PROJECT", "group:x has role:admin by the policy")
	run(t, "", "auth", "can-i", "--list", "--as", "ann", "sync").check(t, 2, "", "takes no arguments")
	answers["GET /whoami"] = answer{200, `{"name":"A name","subject":"s1","groups":["devs"],"roles":[{"role":"role:dev","as":"devs","by":"policy.csv line 3: g, devs, role:dev"}]}`}
	run(t, "", "auth", "whoami").check(t, 0, "A name\n", "role:dev as devs by policy.csv line 3: g, devs, role:dev")
	answers["GET /whoami?rules=true"] = answer{200, `{"name":"new"}`}
	run(t, "", "auth", "can-i", "--list").check(t, 0, "PROJECT", "no role in any project")
}
