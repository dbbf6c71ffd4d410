package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"

	"github.com/tallystick/tallystick/collectors"
)

// accountContacts reads whom AWS writes to about the security of the account.
// There is one such place in every account, so it is listed without a call;
// null: no contact is set. The telephone number is not kept: that there is one
// is enough, and it is a person's.
func accountContacts(e *Estate) *collector {
	const kind = "aws.account.contact"
	return &collector{estate: e, read: readContacts, spec: collectors.Spec{
		Name:    "aws.account_contacts",
		Summary: "The account's alternate contact for security: name, title, e-mail address.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "account:GetAlternateContact", Kind: kind, Field: "AlternateContact", Absent: []string{"ResourceNotFoundException"}},
		},
		Sensitive: []string{"PhoneNumber"},
	}}
}

func readContacts(ctx context.Context, r *reader) error {
	o := r.resource("aws.account.contact", r.account+"/SECURITY", page{exchange: r.caller}, nil)
	// Without an account id it is the caller's own; the management account must
	// not name itself. Source: API_GetAlternateContact, AccountId.
	out, err := account.NewFromConfig(r.config).GetAlternateContact(ctx, &account.GetAlternateContactInput{
		AlternateContactType: types.AlternateContactTypeSecurity,
	})
	o.setMember("account:GetAlternateContact", "AlternateContact", out, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.account.contact")
	return nil
}
