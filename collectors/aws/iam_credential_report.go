package aws

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	smithy "github.com/aws/smithy-go"

	"github.com/tallystick/tallystick/collectors"
)

// A report takes seconds in most accounts, and minutes in those with thousands
// of users. Three minutes are waited for.
const (
	reportTries = 60
	reportWait  = 3 * time.Second
)

// iamCredentialReport reads the credentials of the root user and of every IAM
// user: one observation for each row, as of the time at which AWS made the
// report, which it may hand out for four hours. GenerateCredentialReport is
// the only call that starts work; it changes nothing.
func iamCredentialReport(e *Estate) *collector {
	const kind = "aws.iam.credential"
	return &collector{estate: e, read: readCredentialReport, spec: collectors.Spec{
		Name:    "aws.iam_credential_report",
		Summary: "The credential report: passwords, access keys, certificates and MFA of the root user and of every IAM user.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "iam:GenerateCredentialReport", Kind: kind},
			{Operation: "iam:GetCredentialReport", Kind: kind},
		},
	}}
}

func readCredentialReport(ctx context.Context, r *reader) error {
	out, err := credentialReport(ctx, r)
	if err != nil {
		return err
	}
	rows, err := parseCredentialReport(out.Content)
	if err == nil && out.GeneratedTime == nil {
		// Without it the facts would look as new as the call.
		err = errors.New("the answer has no GeneratedTime")
	}
	if err != nil {
		return reportError("GetCredentialReport", &smithy.DeserializationError{Err: err})
	}
	from := answerOf(out)
	for _, row := range rows {
		body := make(map[string]any, len(row))
		for column, value := range row {
			body[column] = value
		}
		o := r.resource("aws.iam.credential", row["arn"], page{exchange: from.exchange}, body)
		o.as.AsOf = aws.Time(out.GeneratedTime.UTC())
		if err := o.emit(ctx); err != nil {
			return err
		}
	}
	r.listed("aws.iam.credential")
	return nil
}

// credentialReport has a report made, waits for it and reads it. The error is
// the last reason for which there is none.
// Source: IAM API reference, GenerateCredentialReport and GetCredentialReport.
func credentialReport(ctx context.Context, r *reader) (*iam.GetCredentialReportOutput, error) {
	client := iam.NewFromConfig(r.config)
	var last error
	for try := range reportTries {
		if try > 0 {
			if err := r.in.Wait(ctx, reportWait); err != nil {
				return nil, err
			}
		}
		made, err := client.GenerateCredentialReport(ctx, &iam.GenerateCredentialReportInput{})
		if err == nil && made.State != types.ReportStateTypeComplete {
			last = reportError("GenerateCredentialReport", notReady{string(made.State), (try + 1) * int(reportWait/time.Second)})
			continue
		}
		if err == nil {
			var out *iam.GetCredentialReportOutput
			if out, err = client.GetCredentialReport(ctx, &iam.GetCredentialReportInput{}); err == nil {
				return out, nil
			}
		}
		if !hasCode(err, []string{"LimitExceeded", "ReportInProgress", "ReportExpired", "ReportNotPresent"}) {
			return nil, err
		}
		last = err
	}
	return nil, last
}

func reportError(operation string, err error) error {
	return &smithy.OperationError{ServiceID: iam.ServiceID, OperationName: operation, Err: err}
}

// notReady is the error for a report that is still being made. It is a timeout.
type notReady struct {
	state   string
	seconds int
}

func (e notReady) Error() string {
	return fmt.Sprintf("the report was still %q after %d seconds", e.state, e.seconds)
}

func (e notReady) Timeout() bool   { return true }
func (e notReady) Temporary() bool { return true }

// reportColumns are those that every report has.
// Source: IAM user guide, "Understanding the report format".
func reportColumns() []string {
	columns := []string{
		"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed",
		"password_next_rotation", "mfa_active", "cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
	}
	for _, key := range []string{"access_key_1_", "access_key_2_"} {
		for _, fact := range []string{"active", "last_rotated", "last_used_date", "last_used_region", "last_used_service"} {
			columns = append(columns, key+fact)
		}
	}
	return columns
}

// parseCredentialReport gives the rows, each by column. Columns beyond the
// known ones are kept. Every row has an ARN, and none comes twice.
func parseCredentialReport(content []byte) ([]map[string]string, error) {
	r := csv.NewReader(bytes.NewReader(content))
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read header of credential report: %w", err)
	}
	for i, column := range header {
		if slices.Contains(header[:i], column) {
			return nil, fmt.Errorf("credential report has the column %q twice", column)
		}
	}
	for _, column := range reportColumns() {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("credential report has no column %q", column)
		}
	}
	var rows []map[string]string
	seen := map[string]bool{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read credential report: %w", err)
		}
		row := make(map[string]string, len(header))
		for i, column := range header {
			row[column] = record[i]
		}
		arn := row["arn"]
		if splitARN(arn) == nil || seen[arn] {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("credential report, line %d: %q is not an ARN that comes once", line, arn)
		}
		seen[arn] = true
		rows = append(rows, row)
	}
}
