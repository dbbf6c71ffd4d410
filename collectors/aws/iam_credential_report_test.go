package aws

import (
	"strings"
	"testing"
)

// TestParseCredentialReport reads reports as IAM writes them, and others.
func TestParseCredentialReport(t *testing.T) {
	header := strings.Join(reportColumns(), ",")
	row := func(user, arn string) string {
		return user + "," + arn + strings.Repeat(",N/A", len(reportColumns())-2)
	}
	alice := row("alice", "arn:aws:iam::111122223333:user/alice")
	root := row("<root_account>", "arn:aws:iam::111122223333:root")
	tests := []struct {
		name    string
		content string
		users   []string
		problem string
	}{
		{"two rows", header + "\n" + root + "\n" + alice, []string{"<root_account>", "alice"}, ""},
		{"lines that end as on Windows", header + "\r\n" + alice + "\r\n", []string{"alice"}, ""},
		{"a column that came later", header + ",additional_credentials_info\n" + alice + ",N/A", []string{"alice"}, ""},
		{"a name in quotes", header + "\n" + row(`"a,b"`, "arn:aws:iam::111122223333:user/ab"), []string{"a,b"}, ""},
		{"nobody", header + "\n", nil, ""},
		{"nothing", "", nil, "header"},
		{"a column that is not there", strings.Replace(header, "mfa_active", "mfa", 1) + "\n" + alice, nil, `"mfa_active"`},
		{"a column twice", header + ",user\n", nil, "twice"},
		{"a row that breaks off", header + "\n" + alice[:len(alice)-5], nil, "wrong number of fields"},
		{"a row without an ARN", header + "\n" + row("alice", ""), nil, "line 2"},
		{"a row twice", header + "\n" + root + "\n" + root, nil, "line 3"},
		{"a page of a proxy", "<html>\n<body>", nil, "no column"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := parseCredentialReport([]byte(tt.content))
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Fatalf("error %v, want one with %q", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var users []string
			for _, r := range rows {
				users = append(users, r["user"])
			}
			if strings.Join(users, "|") != strings.Join(tt.users, "|") {
				t.Errorf("users %q, want %q", users, tt.users)
			}
		})
	}
}

// TestReportColumns counts the columns that the user guide lists.
func TestReportColumns(t *testing.T) {
	if n := len(reportColumns()); n != 22 {
		t.Errorf("%d columns, want 22", n)
	}
}

// FuzzParseCredentialReport demands of whatever is accepted that every row has
// every column, and an ARN of its own.
func FuzzParseCredentialReport(f *testing.F) {
	header := strings.Join(reportColumns(), ",")
	f.Add([]byte(header + "\nalice,arn:aws:iam::1:user/a" + strings.Repeat(",x", 20)))
	f.Add([]byte(header + "\n\"\n"))
	f.Add([]byte("\xef\xbb\xbfuser,arn"))
	f.Fuzz(func(t *testing.T, content []byte) {
		rows, err := parseCredentialReport(content)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, row := range rows {
			for _, column := range reportColumns() {
				if _, ok := row[column]; !ok {
					t.Errorf("a row without %s", column)
				}
			}
			if seen[row["arn"]] || splitARN(row["arn"]) == nil {
				t.Errorf("ARN %q is not one that comes once", row["arn"])
			}
			seen[row["arn"]] = true
		}
	})
}
