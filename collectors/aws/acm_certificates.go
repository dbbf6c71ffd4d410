package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/tallystick/tallystick/collectors"
)

// acmCertificates reads the certificates of ACM, never a private key.
//
// Left alone, the list holds only RSA keys of 1024 and 2048 bits, and nothing
// that was issued over ACME: each key algorithm and each origin of a key pair
// that the SDK knows is asked for. One that ACM adds is missing until the SDK
// knows it too. Source: API_ListCertificates, API_Filters.
func acmCertificates(e *Estate) *collector {
	const kind = "aws.acm.certificate"
	return &collector{estate: e, read: readCertificates, spec: collectors.Spec{
		Name:    "aws.acm_certificates",
		Summary: "ACM certificates of every key algorithm and origin: status, validity, renewal, what uses them.",
		Kinds:   []string{kind},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "acm:ListCertificates", Kind: kind},
			{Operation: "acm:DescribeCertificate", Kind: kind, Field: "Certificate", Vanished: []string{"ResourceNotFoundException"}},
		},
	}}
}

func readCertificates(ctx context.Context, r *reader) error {
	client := acm.NewFromConfig(r.config)
	pages := acm.NewListCertificatesPaginator(client, &acm.ListCertificatesInput{
		Includes:                  &types.Filters{KeyTypes: types.KeyAlgorithm("").Values()},
		CertificateKeyPairOrigins: types.CertificateKeyPairOrigin("").Values(),
		MaxItems:                  aws.Int32(1000),
	})
	return readDetailed(ctx, r, "acm:ListCertificates", pages, "CertificateSummaryList", func(out *acm.ListCertificatesOutput) (ids []string) {
		for _, c := range out.CertificateSummaryList {
			ids = append(ids, aws.ToString(c.CertificateArn))
		}
		return ids
	}, func(ctx context.Context, out *acm.ListCertificatesOutput, i int, o *resource) {
		c := out.CertificateSummaryList[i]
		detail, err := client.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: c.CertificateArn})
		o.setMember("acm:DescribeCertificate", "Certificate", detail, err)
	})
}
