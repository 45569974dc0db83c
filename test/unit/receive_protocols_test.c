/*
 * receive_protocols_test.c
 *		What each provider tells, by the definitions of protocols/.
 *
 * The bodies are written after the shapes that the definitions' sources show.
 */
#include "check.h"
#include "receive_tools.h"

static const Definition *d;

static void
begin(const char *name)
{
	definition_free((Definition *) d);
	d = compile_protocol(name);
	if (d == NULL || d->receive == NULL)
	{
		printf("not ok %s has no receive\n", name);
		exit(2);
	}
}

/* A body, quotes written as ', tells this. */
static void
tells(const char *literal, const char *expected, const char *file, int line)
{
	char *body = json_of(literal);

	check_text(what_is_told(d, body, strlen(body)), expected, file, line, literal);
	free(body);
}

#define TELLS(literal, expected) tells((literal), (expected), __FILE__, __LINE__)

/* The same of a server that has this option. */
static void
tells_server(const char *option, const char *value, const char *literal, const char *expected,
			 const char *file, int line)
{
	const char *values[VALUES_MAX] = {NULL};
	char *body = json_of(literal);

	values[number_of(d, option)] = value;
	check_text(what_is_told_to(d, values, body, strlen(body)), expected, file, line, literal);
	free(body);
}

#define TELLS_SERVER(option, value, literal, expected) \
	tells_server("option." option, (value), (literal), (expected), __FILE__, __LINE__)

/* ---- WhatsApp Cloud API ------------------------------------------------------------- */

#define META(field, value)                                                                    \
	"{'object':'whatsapp_business_account','entry':[{'id':'1','time':1743451903,'changes':[{" \
	"'field':'" field "','value':{'messaging_product':'whatsapp','metadata':{"                \
	"'display_phone_number':'15550783881','phone_number_id':'106540352242922'}," value "}}]}]}"
#define ANA "'contacts':[{'profile':{'name':'Ana'},'wa_id':'5511987654321','user_id':'BR.1502'}],"

static void
meta_messages(void)
{
	begin("whatsapp_cloud");
	TELLS(META("messages", ANA "'messages':[{'from':'5511987654321','id':'wamid.1','timestamp':"
							   "'1749416383','type':'text','text':{'body':'Quero saber mais'},"
							   "'context':{'from':'15550783881','id':'wamid.0'}}]"),
		  "message id=wamid.1 from=5511987654321 to=15550783881 text=Quero saber mais name=Ana "
		  "phone=+5511987654321 user_id=BR.1502 quotes=wamid.0 time=1749416383000000");
	TELLS(META("messages",
			   "'contacts':[{'profile':{'name':'Bia'},'user_id':'BR.7'}],'messages':[{"
			   "'from_user_id':'BR.7','id':'wamid.2','timestamp':'1749416383','type':'image',"
			   "'image':{'id':'99','mime_type':'image/jpeg','caption':'veja'}}]"),
		  "message id=wamid.2 to=15550783881 text=veja media=99 media_type=image/jpeg name=Bia "
		  "user_id=BR.7 time=1749416383000000");
	TELLS(META("messages", "'messages':[{'from':'1','id':'a','type':'reaction','reaction':{"
						   "'message_id':'b','emoji':'x'}},{'from':'1','id':'c','type':'edit'},"
						   "{'from':'12025550123','id':'d','group_id':'g','type':'text'}]"),
		  "ignored: a reaction, an edit or a deletion; ignored: a reaction, an edit or a deletion; "
		  "ignored: of a group");
	TELLS(META("messages", "'messages':[{'from':'12025550123','id':'i','type':'interactive',"
						   "'interactive':{'type':'button_reply','button_reply':{'id':'s','title':"
						   "'Sim'}}},{'from':'12025550123','id':'u','type':'unsupported','errors':["
						   "{'code':131051,'title':'Message type unknown'}]}]"),
		  "message id=i from=12025550123 to=15550783881 text=Sim phone=+12025550123; message id=u "
		  "from=12025550123 to=15550783881 code=131051 error=Message type unknown "
		  "phone=+12025550123");
}

static void
meta_receipts(void)
{
	TELLS(META("messages",
			   ANA "'statuses':[{'id':'wamid.3','status':'played','timestamp':'1698266945',"
				   "'recipient_id':'5511987654321','biz_opaque_callback_data':'k-1'},{'id':'w4',"
				   "'status':'failed','timestamp':'1698266946','recipient_id':'5511987654321',"
				   "'errors':[{'code':131047,'title':'Re-engagement message','error_data':{"
				   "'details':'24 hours have passed'}}]}]"),
		  "receipt id=wamid.3 key=k-1 to=5511987654321 state=read phone=+5511987654321 "
		  "user_id=BR.1502 time=1698266945000000; receipt id=w4 to=5511987654321 state=failed "
		  "code=131047 error=24 hours have passed phone=+5511987654321 user_id=BR.1502 "
		  "time=1698266946000000");
	TELLS(META("messages", "'statuses':[{'id':'a','status':'delivered','recipient_user_id':'BR.9'},"
						   "{'id':'b','status':'deleted'},{'id':'c','status':'novo'},{'status':"
						   "'read'}]"),
		  "receipt id=a state=delivered user_id=BR.9; ignored: a state that changes nothing; "
		  "unknown: no rule knows it; unknown: names no message: neither id nor key");
	TELLS(META("messages", "'errors':[{'code':131005}]"),
		  "unknown: holds nothing that a rule asks for");
}

static void
meta_others(void)
{
	TELLS(META("smb_message_echoes", "'message_echoes':[{'from':'15550783881','to':'5511987654321'"
									 ",'id':'e','timestamp':'1739321024','type':'text','text':{"
									 "'body':'Oi, sou eu'}},{'type':'revoke','id':'f'}]"),
		  "echo id=e from=15550783881 to=5511987654321 text=Oi, sou eu phone=+5511987654321 "
		  "time=1739321024000000; ignored: a reaction, an edit or a deletion");
	TELLS(META("user_preferences", "'user_preferences':[{'wa_id':'5511987654321','detail':'User "
								   "requested to stop marketing messages','category':"
								   "'marketing_messages','value':'stop','timestamp':1731705721}]"),
		  "opt_out text=User requested to stop marketing messages code=marketing_messages "
		  "phone=+5511987654321 time=1731705721000000");
	TELLS(META("user_preferences", ANA "'user_preferences':[{'category':'marketing_messages',"
									   "'value':'resume','timestamp':1731705721}]"),
		  "opt_in code=marketing_messages phone=+5511987654321 user_id=BR.1502 "
		  "time=1731705721000000");
	TELLS(META("messages", "'messages':[{'from':'5511987654321','id':'s','timestamp':'1753851315',"
						   "'type':'system','system':{'type':'user_changed_number','wa_id':"
						   "'5511912345678','user_id':'BR.2','previous_user_id':'BR.1'}},{'id':'t',"
						   "'type':'system','system':{'type':'user_changed_user_id','user_id':"
						   "'BR.4','previous_user_id':'BR.3'}},{'from':'1','id':'v','type':"
						   "'system','system':{'type':'customer_identity_changed'}}]"),
		  "identity id=s phone=+5511987654321 user_id=BR.2 old=+5511987654321 new=+5511912345678 "
		  "time=1753851315000000; identity id=t old=BR.3 new=BR.4; ignored: a note of the "
		  "system's, such as that of a new device");
}

static void
meta_senders(void)
{
	TELLS(META("phone_number_quality_update", "'display_phone_number':'15550783881','event':"
											  "'FLAGGED','current_limit':'TIER_10K'"),
		  "sender to=15550783881 text=TIER_10K state=quality code=FLAGGED time=1743451903000000");
	TELLS(
		META("account_update", "'event':'DISABLED_UPDATE','ban_info':{'waba_ban_state':'DISABLE'}"),
		"sender state=banned code=DISABLE error=DISABLED_UPDATE time=1743451903000000");
	TELLS(META("account_update",
			   "'event':'DISABLED_UPDATE','ban_info':{'waba_ban_state':['DISABLE']}"),
		  "sender state=banned code=DISABLE error=DISABLED_UPDATE time=1743451903000000");
	TELLS(META("account_update", "'event':'ACCOUNT_RECONNECTED'"),
		  "sender state=connected code=ACCOUNT_RECONNECTED time=1743451903000000");
	TELLS(META("account_update", "'event':'PARTNER_ADDED'"),
		  "ignored: of the account or a template, not of a message");
	TELLS(META("message_template_status_update", "'event':'APPROVED'"),
		  "ignored: of the account or a template, not of a message");
	TELLS(META("what_comes_next", "'x':1"), "unknown: no rule knows it");
	TELLS("{'object':'page'}", "unknown: holds nothing that a rule asks for");
	TELLS_SERVER("phone_number_id", "106540352242922",
				 META("messages", "'statuses':[{'id':'a','status':'read'}]"),
				 "receipt id=a state=read");
	TELLS_SERVER("phone_number_id", "1",
				 META("messages", "'statuses':[{'id':'a','status':'read'}]"),
				 "unknown: another sender's: its phone_number_id is not this server's");
	TELLS_SERVER("phone_number_id", "1",
				 "{'entry':[{'changes':[{'field':'account_update','value':{'event':"
				 "'ACCOUNT_RECONNECTED'}}]}]}",
				 "sender state=connected code=ACCOUNT_RECONNECTED");
	begin("d360");
	TELLS(META("messages", "'statuses':[{'id':'a','status':'read','recipient_id':'551133334444'}]"),
		  "receipt id=a to=551133334444 state=read phone=+551133334444");
}

/* ---- gateways ----------------------------------------------------------------------- */

#define EVOLUTION(event, data) \
	"{'event':'" event "','instance':'vendas','data':" data ",'apikey':'SECRET'}"

/* What both versions tell alike. */
static void
evolution_any(void)
{
	TELLS(EVOLUTION("messages.upsert",
					"{'key':{'remoteJid':'103899771998284@lid','remoteJidAlt':"
					"'5511987654321@s.whatsapp.net','fromMe':false,'id':'3A1'},'pushName':'Ana',"
					"'message':{'conversation':'Pode ligar'},'messageType':'conversation',"
					"'contextInfo':{'stanzaId':'3EB0'},'messageTimestamp':1753619674}"),
		  "message id=3A1 from=103899771998284@lid text=Pode ligar name=Ana phone=+5511987654321 "
		  "lid=103899771998284@lid quotes=3EB0 time=1753619674000000");
	TELLS(EVOLUTION("messages.upsert",
					"[{'key':{'remoteJid':'5511987654321:2@s.whatsapp.net','fromMe':true,'id':'3B'}"
					",'message':{'imageMessage':{'caption':'tabela','url':'https://x/y','mimetype':"
					"'image/png'}}},{'key':{'remoteJid':'1-2@g.us','id':'g'}},{'key':{'remoteJid':"
					"'status@broadcast','id':'s'}},{'key':{'remoteJid':'5@s.whatsapp.net','id':'r'}"
					",'messageType':'reactionMessage'}]"),
		  "echo id=3B text=tabela media=https://x/y media_type=image/png phone=+5511987654321; "
		  "ignored: of a group, a broadcast, a status or a channel; ignored: of a group, a "
		  "broadcast, a status or a channel; ignored: a reaction, an edit, a vote or a note of "
		  "the system's");
	TELLS(EVOLUTION("messages.upsert",
					"[{'key':{'remoteJid':'5511987654321@s.whatsapp.net','id':'b'},'message':{"
					"'interactiveResponseMessage':{'body':{'text':'Parar'}}}},{'key':{'remoteJid':"
					"'5511987654321@s.whatsapp.net','id':'v'},'message':{'viewOnceMessageV2':{"
					"'message':{'imageMessage':{'caption':'sair'}}}}},{'key':{'remoteJid':"
					"'5511987654321@s.whatsapp.net','id':'e'},'message':{'ephemeralMessage':{"
					"'message':{'videoMessage':{'caption':'veja'}}}}}]"),
		  "message id=b from=5511987654321@s.whatsapp.net text=Parar phone=+5511987654321; message "
		  "id=v from=5511987654321@s.whatsapp.net text=sair phone=+5511987654321; message id=e "
		  "from=5511987654321@s.whatsapp.net text=veja phone=+5511987654321");
	TELLS(EVOLUTION("messages.update", "{'keyId':'3EB0','remoteJid':'5511987654321@s.whatsapp.net',"
									   "'fromMe':true,'status':'DELIVERY_ACK'}"),
		  "receipt id=3EB0 state=delivered phone=+5511987654321");
	TELLS(EVOLUTION("messages.update", "{'keyId':'a','remoteJid':'1@lid','fromMe':false,'status':"
									   "'ERROR'}"),
		  "ignored: of a message of theirs");
	TELLS(EVOLUTION("send.message", "{'key':{'id':'b','remoteJid':'5511987654321@s.whatsapp.net'},"
									"'status':'PENDING'}"),
		  "ignored: what the answer to the request has said already");
	TELLS(EVOLUTION("send.message", "{'key':{'id':'b','remoteJid':'5511987654321@s.whatsapp.net'},"
									"'status':'ERROR'}"),
		  "receipt id=b state=failed phone=+5511987654321");
	TELLS(EVOLUTION("connection.update", "{'state':'close','statusReason':401}"),
		  "sender state=disconnected code=401");
	TELLS(EVOLUTION("connection.update", "{'state':'close','statusReason':403}"),
		  "sender state=banned code=403");
	TELLS(EVOLUTION("connection.update", "{'state':'open','wuid':'55@s.whatsapp.net'}"),
		  "sender state=connected");
	TELLS(EVOLUTION("connection.update", "{'state':'connecting'}"), "ignored: on its way");
	TELLS(EVOLUTION("logout.instance", "null"), "sender state=disconnected code=logout.instance");
	TELLS(EVOLUTION("chats.upsert", "[]"),
		  "ignored: no message, receipt or state of the connection");
	TELLS(EVOLUTION("coisa.nova", "{}"), "unknown: no rule knows it");
	TELLS_SERVER("instance", "vendas", EVOLUTION("logout.instance", "null"),
				 "sender state=disconnected code=logout.instance");
	TELLS_SERVER("instance", "suporte", EVOLUTION("logout.instance", "null"),
				 "unknown: another sender's: its instance is not this server's");
}

static void
evolution(void)
{
	begin("evolution");
	evolution_any();
	/* of an instance of the kind WHATSAPP-BUSINESS, which says fromMe false of all */
	TELLS(EVOLUTION("messages.update",
					"[{'keyId':'w1','remoteJid':'5511987654321@s.whatsapp.net','fromMe':false,"
					"'status':'SENT'},{'keyId':'w1','remoteJid':'5511987654321@s.whatsapp.net',"
					"'fromMe':false,'status':'DELIVERED'},{'keyId':'w1','fromMe':false,'status':"
					"'READ'},{'keyId':'w2','fromMe':false,'status':'FAILED'},{'keyId':'w2',"
					"'fromMe':false,'status':'DELETED'}]"),
		  "receipt id=w1 state=sent phone=+5511987654321; receipt id=w1 state=delivered "
		  "phone=+5511987654321; receipt id=w1 state=read; receipt id=w2 state=failed; ignored: a "
		  "state that changes nothing");
}

static void
evolution_v1(void)
{
	begin("evolution_v1");
	evolution_any();
	TELLS(EVOLUTION("messages.update", "[{'remoteJid':'5511987654321@s.whatsapp.net','fromMe':true,"
									   "'id':'BAE5','status':'READ','datetime':1710000000123,"
									   "'owner':'vendas'}]"),
		  "receipt id=BAE5 state=read phone=+5511987654321 time=1710000000123000");
	TELLS(EVOLUTION("messages.upsert",
					"{'key':{'remoteJid':'5511987654321@s.whatsapp.net','fromMe':false,'id':'3A'},"
					"'pushName':'Ana','message':{'conversation':'SAIR'},'messageType':"
					"'conversation','messageTimestamp':1710000000,'owner':'vendas'}"),
		  "message id=3A from=5511987654321@s.whatsapp.net text=SAIR name=Ana "
		  "phone=+5511987654321 time=1710000000000000");
}

static void
zapi(void)
{
	begin("zapi");
	TELLS("{'type':'ReceivedCallback','messageId':'A20','phone':'5544999999999','fromMe':false,"
		  "'momment':1632228638000,'chatName':'Ana','senderLid':'81896604192873@lid','isGroup':"
		  "false,'broadcast':false,'connectedPhone':'554488888888','text':{'message':'oi'}}",
		  "message id=A20 from=5544999999999 to=554488888888 text=oi name=Ana "
		  "phone=+5544999999999 lid=81896604192873@lid time=1632228638000000");
	TELLS("{'type':'ReceivedCallback','messageId':'B','phone':'65998849469@lid','chatLid':"
		  "'65998849469@lid','buttonsResponseMessage':{'message':'Sim'},'referenceMessageId':'C'}",
		  "message id=B from=65998849469@lid text=Sim lid=65998849469@lid quotes=C");
	TELLS("{'type':'ReceivedCallback','messageId':'D','phone':'5544999999999','fromMe':true,"
		  "'fromApi':false,'text':{'message':'eu mesmo'}}",
		  "echo id=D text=eu mesmo phone=+5544999999999");
	TELLS("{'type':'ReceivedCallback','messageId':'D','phone':'55','fromMe':true,'fromApi':true}",
		  "ignored: sent through the API");
	TELLS("{'type':'ReceivedCallback','messageId':'D','phone':'120363-group','isGroup':false}",
		  "ignored: of a group, a channel, a broadcast or a status");
	TELLS("{'type':'ReceivedCallback','messageId':'D','phone':'1774895799-broadcast'}",
		  "ignored: of a group, a channel, a broadcast or a status");
	/* an answer to a status of ours is an answer */
	TELLS("{'isStatusReply':true,'senderLid':'81896604192873@lid','connectedPhone':'554499999999',"
		  "'isEdit':false,'isGroup':false,'isNewsletter':false,'messageId':'3EB0','phone':"
		  "'5544888888888','fromMe':false,'momment':1737478000000,'referenceMessageId':'4DF8',"
		  "'broadcast':false,'type':'ReceivedCallback','text':{'message':'SAIR'}}",
		  "message id=3EB0 from=5544888888888 to=554499999999 text=SAIR phone=+5544888888888 "
		  "lid=81896604192873@lid quotes=4DF8 time=1737478000000000");
	TELLS("{'type':'ReceivedCallback','messageId':'L','phone':'5544888888888','listResponseMessage'"
		  ":{'message':'Parar de receber ofertas','title':'SAIR','selectedRowId':'1'}}",
		  "message id=L from=5544888888888 text=SAIR phone=+5544888888888");
	/* what may be seen once does not come again with what is in it */
	TELLS("{'type':'ReceivedCallback','messageId':'W','phone':'5544888888888','waitingMessage':"
		  "true,'viewOnce':true}",
		  "message id=W from=5544888888888 phone=+5544888888888");
	TELLS("{'type':'ReceivedCallback','messageId':'W','phone':'5544888888888','waitingMessage':"
		  "true,'viewOnce':false}",
		  "ignored: not there yet: it comes again with its text");
	TELLS("{'type':'ReceivedCallback','messageId':'W','phone':'5544888888888','waitingMessage':"
		  "true}",
		  "ignored: not there yet: it comes again with its text");
	TELLS("{'type':'ReceivedCallback','messageId':'E','phone':'5544','reaction':{'value':'x'}}",
		  "ignored: a reaction");
	TELLS("{'type':'MessageStatusCallback','status':'RECEIVED','ids':['a','b'],'momment':"
		  "1632234645000,'phone':'5544999999999','isGroup':false}",
		  "receipt id=a state=delivered phone=+5544999999999 time=1632234645000000; receipt id=b "
		  "state=delivered phone=+5544999999999 time=1632234645000000");
	TELLS("{'type':'MessageStatusCallback','status':'READ_BY_ME','ids':['a']}",
		  "ignored: of a message of theirs");
	TELLS("{'type':'DeliveryCallback','messageId':'m','zaapId':'z','phone':'5544999999999',"
		  "'error':'Phone number does not exist'}",
		  "receipt id=m other_id=z state=failed error=Phone number does not exist "
		  "phone=+5544999999999");
	TELLS("{'type':'DisconnectedCallback','momment':1580163342,'error':'Device has been "
		  "disconnected','disconnected':true}",
		  "sender state=disconnected error=Device has been disconnected time=1580163342000000");
	TELLS("{'type':'ConnectedCallback','connected':true,'phone':'5544'}",
		  "sender to=5544 state=connected");
	TELLS_SERVER("instance", "3C01", "{'type':'ConnectedCallback','instanceId':'3C01'}",
				 "sender state=connected");
	TELLS_SERVER("instance", "3C01", "{'type':'ConnectedCallback','instanceId':'3C02'}",
				 "unknown: another sender's: its instanceId is not this server's");
}

static void
waha(void)
{
	begin("waha");
	TELLS("{'event':'message','session':'default','me':{'id':'5511900000000@c.us'},'payload':{"
		  "'id':'false_5511987654321@c.us_3EB0','timestamp':1666943582,'from':"
		  "'5511987654321@c.us','fromMe':false,'body':'Oi','replyTo':{'id':'AAA'}}}",
		  "message id=false_5511987654321@c.us_3EB0 other_id=3EB0 from=5511987654321@c.us "
		  "to=5511900000000@c.us text=Oi phone=+5511987654321 quotes=AAA time=1666943582000000");
	TELLS("{'event':'message','payload':{'id':'x_y','from':'77@lid','fromMe':false,'body':'Oi',"
		  "'_data':{'key':{'remoteJidAlt':'5511987654321@s.whatsapp.net'}}}}",
		  "message id=x_y other_id=y from=77@lid text=Oi phone=+5511987654321 lid=77@lid");
	TELLS("{'event':'message.any','payload':{'id':'t_z','from':'5511900000000@c.us','to':"
		  "'5511987654321@c.us','fromMe':true,'source':'app','body':'eu'}}",
		  "echo id=t_z other_id=z text=eu phone=+5511987654321");
	TELLS("{'event':'message.any','payload':{'id':'t','fromMe':true,'source':'api'}}",
		  "ignored: sent through the API");
	TELLS("{'event':'message.ack','timestamp':1764640437579,'payload':{'id':'true_1@c.us_3EB1',"
		  "'from':'5511987654321@c.us','fromMe':true,'ack':3,'ackName':'READ'}}",
		  "receipt id=true_1@c.us_3EB1 other_id=3EB1 state=read phone=+5511987654321 "
		  "time=1764640437579000");
	TELLS("{'event':'message.ack','payload':{'id':'a','fromMe':true,'ack':-1,'ackName':'UNKNOWN'}}",
		  "receipt id=a other_id=a state=failed");
	TELLS("{'event':'session.status','payload':{'name':'default','status':'SCAN_QR_CODE'}}",
		  "sender state=disconnected code=SCAN_QR_CODE");
	TELLS("{'event':'session.status','payload':{'status':'WORKING'}}",
		  "sender state=connected code=WORKING");
	TELLS("{'event':'message.reaction','payload':{}}",
		  "ignored: no message, receipt or state of the connection");
	TELLS_SERVER("session", "vendas",
				 "{'event':'session.status','session':'vendas','payload':{'status':'WORKING'}}",
				 "sender state=connected code=WORKING");
	TELLS_SERVER("session", "vendas",
				 "{'event':'session.status','session':'default','payload':{'status':'FAILED'}}",
				 "unknown: another sender's: its session is not this server's");
}

/* ---- aggregators -------------------------------------------------------------------- */

static void
gupshup(void)
{
	begin("gupshup");
	TELLS("{'app':'Acme','timestamp':1580227766370,'version':2,'type':'message','payload':{'id':"
		  "'ABE','source':'5511987654321','type':'text','payload':{'text':'Hi'},'sender':{'phone':"
		  "'5511987654321','name':'Ana','userId':'BR.1'},'context':{'id':'gBE','gsId':'9b7'}}}",
		  "message id=ABE from=5511987654321 text=Hi name=Ana phone=+5511987654321 user_id=BR.1 "
		  "quotes=9b7 time=1580227766370000");
	TELLS("{'type':'message-event','timestamp':1776944128172,'payload':{'id':'wamid','gsId':'g',"
		  "'type':'sent','destination':'5511987654321','payload':{'ts':1776944126}}}",
		  "receipt id=g other_id=wamid to=5511987654321 state=sent phone=+5511987654321 "
		  "time=1776944126000000");
	TELLS("{'type':'message-event','payload':{'id':'g','type':'failed','destination':"
		  "'5511987654321','payload':{'code':1002,'reason':'Number Does Not Exist On WhatsApp'}}}",
		  "receipt id=g other_id=g to=5511987654321 state=failed code=1002 error=Number Does Not "
		  "Exist On WhatsApp phone=+5511987654321");
	TELLS("{'type':'message-event','payload':{'id':'g','type':'enqueued'}}",
		  "ignored: a state that changes nothing");
	TELLS("{'type':'user-event','timestamp':1584541505908,'payload':{'phone':'5511987654321',"
		  "'type':'opted-out'}}",
		  "opt_out phone=+5511987654321 time=1584541505908000");
	TELLS("{'type':'user-event','payload':{'phone':'5511987654321','type':'opted-in'}}",
		  "opt_in phone=+5511987654321");
	TELLS("{'type':'user-event','payload':{'phone':'callbackSetPhone','type':'sandbox-start'}}",
		  "ignored: of the account, a template or the bill");
}

static void
zenvia(void)
{
	begin("zenvia");
	TELLS("{'id':'e1','timestamp':'2026-01-02T03:04:05Z','type':'MESSAGE','channel':'whatsapp',"
		  "'direction':'IN','message':{'id':'m1','from':'5511987654321','to':'acme','direction':"
		  "'IN','timestamp':'2026-01-02T03:04:04.5Z','visitor':{'name':'Ana'},'contents':[{'type':"
		  "'text','text':'Oi'}]}}",
		  "message id=m1 from=5511987654321 to=acme text=Oi name=Ana phone=+5511987654321 "
		  "channel=WHATSAPP time=1767323044500000");
	TELLS("{'type':'MESSAGE','channel':'sms','direction':'OUT','message':{'id':'m2','externalId':"
		  "'k','to':'5511987654321','contents':[{'text':'x'}]}}",
		  "echo id=m2 key=k to=5511987654321 text=x phone=+5511987654321 channel=SMS");
	TELLS("{'type':'MESSAGE_STATUS','channel':'sms','message':{'id':'m3','externalId':'k','to':"
		  "'5511987654321','direction':'OUT'},'messageStatus':{'timestamp':'2026-01-02T03:04:05Z',"
		  "'code':'NOT_DELIVERED','description':'x','causes':[{'channelErrorCode':'2','reason':"
		  "'blocked'}]}}",
		  "receipt id=m3 key=k to=5511987654321 state=failed code=2 error=blocked "
		  "phone=+5511987654321 channel=SMS time=1767323045000000");
	TELLS("{'type':'MESSAGE_STATUS','messageId':'m4','messageStatus':{'code':'READ'}}",
		  "receipt id=m4 state=read");
	TELLS("{'type':'CONVERSATION_STATUS'}", "ignored: of a conversation of Zenvia's own service");
}

static void
twilio(void)
{
	begin("twilio");
	TELLS("MessageSid=SM1&SmsStatus=received&From=whatsapp%3A%2B5511987654321&To=whatsapp%3A%2B1"
		  "5550000000&Body=Ol%C3%A1+a%26b&ProfileName=Ana&NumMedia=1&MediaUrl0=https%3A%2F%2Fx"
		  "&MediaContentType0=image%2Fjpeg&OriginalRepliedMessageSid=SM0",
		  "message id=SM1 from=whatsapp:+5511987654321 to=whatsapp:+15550000000 text=Olá a&b "
		  "media=https://x media_type=image/jpeg name=Ana phone=+5511987654321 quotes=SM0 "
		  "channel=WHATSAPP");
	TELLS("OptOutType=STOP&MessageSid=SM2&SmsStatus=received&From=%2B12025550123&Body=chega",
		  "message id=SM2 from=+12025550123 text=chega code=STOP phone=+12025550123 channel=SMS");
	TELLS("OptOutType=START&MessageSid=SM2&SmsStatus=received&From=%2B12025550123&Body=sim",
		  "message id=SM2 from=+12025550123 text=sim code=START phone=+12025550123 channel=SMS");
	TELLS("OptOutType=HELP&MessageSid=SM2&SmsStatus=received&From=%2B12025550123&Body=info",
		  "message id=SM2 from=+12025550123 text=info code=HELP phone=+12025550123 channel=SMS");
	TELLS("MessageSid=SM3&MessageStatus=undelivered&To=%2B12025550123&ErrorCode=30003&SmsStatus="
		  "undelivered",
		  "receipt id=SM3 to=+12025550123 state=failed code=30003 phone=+12025550123 channel=SMS");
	TELLS("MessageSid=SM3&MessageStatus=queued", "ignored: on its way");
	TELLS("CallSid=CA1", "unknown: no rule knows it");
}

/* ---- mail --------------------------------------------------------------------------- */

static void
resend(void)
{
	begin("resend");
	TELLS("{'type':'email.delivered','created_at':'2023-09-28T17:19:44.823Z','data':{'email_id':"
		  "'e1','to':['Ana <Ana@Example.ORG>']}}",
		  "receipt id=e1 to=Ana <Ana@Example.ORG> state=delivered email=ana@example.org "
		  "time=1695921584823000");
	TELLS("{'type':'email.bounced','data':{'email_id':'e2','to':['b@x.example'],'bounce':{"
		  "'message':'no such user','type':'Permanent','subType':'General'}}}",
		  "bounce id=e2 to=b@x.example state=hard code=General error=no such user "
		  "email=b@x.example");
	TELLS("{'type':'email.bounced','data':{'email_id':'e2','to':['b@x.example'],'bounce':{'type':"
		  "'Transient'}}}",
		  "bounce id=e2 to=b@x.example state=soft code=Transient email=b@x.example");
	TELLS("{'type':'email.complained','data':{'email_id':'e3','to':['c@x.example']}}",
		  "complaint id=e3 to=c@x.example email=c@x.example");
	TELLS("{'type':'email.received','created_at':'2024-02-22T23:41:12.126Z','data':{'email_id':"
		  "'e4','message_id':'<A@m>','from':'Ana <ana@x.example>','to':['us@y.example'],'subject':"
		  "'Re: oi'}}",
		  "message id=e4 other_id=<A@m> from=Ana <ana@x.example> to=us@y.example name=Ana "
		  "email=ana@x.example subject=Re: oi time=1708645272126000");
	TELLS("{'type':'contact.updated','data':{'email':'d@x.example','unsubscribed':true}}",
		  "opt_out email=d@x.example");
	TELLS("{'type':'contact.updated','data':{'email':'d@x.example','unsubscribed':false}}",
		  "ignored: no word of the recipient's");
}

static void
brevo(void)
{
	begin("brevo");
	TELLS("{'event':'delivered','email':'a@x.example','ts_epoch':1520363423000,'message-id':"
		  "'<1@smtp-relay>'}",
		  "receipt id=<1@smtp-relay> state=delivered email=a@x.example time=1520363423000000");
	TELLS("[{'event':'hard_bounce','email':'a@x.example','message-id':'m','reason':' 550 5.5.0'},"
		  "{'event':'soft_bounce','email':'a@x.example'},{'event':'spam','email':'a@x.example'},"
		  "{'event':'unsubscribed','email':'a@x.example'},{'event':'deferred'}]",
		  "bounce id=m state=hard code=hard_bounce error=550 5.5.0 email=a@x.example; bounce "
		  "state=soft code=soft_bounce email=a@x.example; complaint email=a@x.example; opt_out "
		  "email=a@x.example; ignored: no word of the recipient's");
	TELLS("{'items':[{'Uuid':['u'],'MessageId':'<A@m>','InReplyTo':'<0@us>','From':{'Name':'Ana',"
		  "'Address':'ana@x.example'},'To':[{'Address':'us@y.example'}],'SentAtDate':'Mon, 17 Jul "
		  "2023 11:11:22 -0700','Subject':'Re','Headers':{'Auto-Submitted':'auto-replied'},"
		  "'ExtractedMarkdownMessage':'Fora ate o dia 3.\\n'}]}",
		  "message id=u other_id=<A@m> from=ana@x.example to=us@y.example text=Fora ate o dia 3. "
		  "name=Ana email=ana@x.example quotes=<0@us> subject=Re time=1689617482000000 auto");
}

static void
sendgrid(void)
{
	begin("sendgrid");
	TELLS("[{'email':'a@x.example','timestamp':1461095246,'sg_message_id':'14c5.dfd.64b.filter0001"
		  ".16648.5515E0B88.0','event':'processed','cadence_key':'k'},{'event':'open','email':"
		  "'a@x.example','sg_message_id':'y.recvd-1','sg_machine_open':true},{'event':'click',"
		  "'email':'a@x.example','sg_message_id':'y.recvd-1'}]",
		  "receipt id=14c5.dfd.64b key=k state=sent email=a@x.example time=1461095246000000; "
		  "ignored: opened by a machine; receipt id=y state=read email=a@x.example");
	TELLS("[{'event':'bounce','type':'bounce','status':'5.1.1','reason':'550 no','email':'b@x.y',"
		  "'sg_message_id':'m'},{'event':'bounce','type':'blocked','email':'b@x.y'},{'event':"
		  "'dropped','reason':'Bounced Address','email':'b@x.y'},{'event':'dropped','reason':"
		  "'Unsubscribed Address','email':'b@x.y','sg_message_id':'m'}]",
		  "bounce id=m state=hard code=5.1.1 error=550 no email=b@x.y; bounce state=soft "
		  "email=b@x.y; bounce state=hard error=Bounced Address email=b@x.y; receipt id=m "
		  "state=failed error=Unsubscribed Address email=b@x.y");
	TELLS("[{'event':'spamreport','email':'c@x.y'},{'event':'group_unsubscribe','email':'c@x.y'},"
		  "{'event':'group_resubscribe','email':'c@x.y'},{'event':'deferred'},{'event':'neu'}]",
		  "complaint email=c@x.y; opt_out email=c@x.y; opt_in email=c@x.y; ignored: tried again by "
		  "SendGrid; unknown: no rule knows it");
}

static void
postmark(void)
{
	begin("postmark");
	TELLS("{'RecordType':'Delivery','MessageID':'883','Recipient':'a@x.y','DeliveredAt':"
		  "'2014-08-01T13:28:10.2735393-04:00','Metadata':{'cadence_key':'k'}}",
		  "receipt id=883 key=k state=delivered email=a@x.y time=1406914090273539");
	TELLS("{'RecordType':'Bounce','Type':'HardBounce','MessageID':'27','Email':'b@x.y','Details':"
		  "'smtp;550 5.1.1','BouncedAt':'2016-04-27T20:28:50Z'}",
		  "bounce id=27 state=hard code=HardBounce error=smtp;550 5.1.1 email=b@x.y "
		  "time=1461788930000000");
	TELLS("{'RecordType':'SpamComplaint','Type':'SpamComplaint','MessageID':'28','Email':'b@x.y'}",
		  "complaint id=28 email=b@x.y");
	TELLS("{'RecordType':'Bounce','Type':'AutoResponder','Email':'b@x.y'}",
		  "ignored: a machine's answer, or a mail on its way");
	TELLS("{'RecordType':'SubscriptionChange','SuppressSending':true,'SuppressionReason':"
		  "'ManualSuppression','Recipient':'c@x.y','Origin':'Recipient'}",
		  "opt_out email=c@x.y");
	TELLS("{'RecordType':'SubscriptionChange','SuppressSending':false,'Recipient':'c@x.y','Origin'"
		  ":'Recipient'}",
		  "opt_in email=c@x.y");
	TELLS("{'FromFull':{'Email':'Ana@x.example','Name':'Ana'},'OriginalRecipient':'us@y.example',"
		  "'Subject':'Re','MessageID':'22c','Date':'Wed, 11 Oct 2017 18:31:04 -0700','TextBody':"
		  "'tudo','StrippedTextReply':'so isto','Headers':[{'Name':'X-Spam','Value':'No'},{'Name':"
		  "'in-reply-to','Value':'<0b1c@mtasv.net>'},{'Name':'Message-ID','Value':'<C@m>'}]}",
		  "message id=22c other_id=<C@m> from=Ana@x.example to=us@y.example text=so isto name=Ana "
		  "email=ana@x.example quotes=0b1c subject=Re time=1507771864000000");
	TELLS("{'FromFull':{'Email':'a@x.y'},'MessageID':'23','Headers':[{'Name':'Precedence','Value':"
		  "'auto_reply'}]}",
		  "message id=23 from=a@x.y email=a@x.y auto");
}

static void
mailgun(void)
{
	begin("mailgun");
	TELLS("{'signature':{'token':'t','signature':'s'},'event-data':{'event':'delivered',"
		  "'timestamp':1534108637.153125,'recipient':'a@x.y','message':{'headers':{'message-id':"
		  "'2018@us.example'}},'user-variables':{'cadence_key':'k'}}}",
		  "receipt id=<2018@us.example> key=k state=delivered email=a@x.y time=1534108637153125");
	TELLS("{'event-data':{'event':'failed','severity':'permanent','reason':'bounce','recipient':"
		  "'b@x.y','delivery-status':{'code':550,'message':'5.1.1 no\\n'},'message':{'headers':{"
		  "'message-id':'m@u'}}}}",
		  "bounce id=<m@u> state=hard code=550 error=5.1.1 no email=b@x.y");
	TELLS("{'event-data':{'event':'failed','severity':'permanent','reason':'suppress-unsubscribe',"
		  "'recipient':'c@x.y','delivery-status':{'code':605,'message':'','description':'Not "
		  "delivering to an unsubscribed address'},'message':{'headers':{'message-id':'m@u'}}}}",
		  "receipt id=<m@u> state=failed code=605 error=suppress-unsubscribe email=c@x.y");
	TELLS("{'event-data':{'event':'failed','severity':'temporary','recipient':'b@x.y'}}",
		  "ignored: tried again by Mailgun");
	TELLS("{'event-data':{'event':'complained','recipient':'c@x.y'}}", "complaint email=c@x.y");
	TELLS("{'event-data':{'event':'unsubscribed','recipient':'c@x.y'}}", "opt_out email=c@x.y");
	TELLS("recipient=us%40y.example&sender=bounce%40x.example&from=%22Ana%22+%3Cana%40x.example%3E"
		  "&subject=Re&stripped-text=sim%0D%0Aquero&timestamp=1461261330&token=06c&signature=s"
		  "&Message-Id=%3CC%40m%3E&In-Reply-To=%3C0%40us%3E",
		  "message id=<C@m> from=\"Ana\" <ana@x.example> to=us@y.example text=sim\nquero "
		  "name=Ana email=ana@x.example quotes=<0@us> subject=Re time=1461261330000000");
}

/* ---- our own ------------------------------------------------------------------------ */

static void
webhook(void)
{
	begin("webhook");
	TELLS("{'event':'message','id':'1','telefone':'(11) 98765-4321','mensagem':'Oi','name':'Ana',"
		  "'time':'2026-05-01T12:00:00-03:00','canal':'WHATSAPP'}",
		  "message id=1 text=Oi name=Ana phone=11987654321 channel=WHATSAPP "
		  "time=1777647600000000");
	TELLS("[{'event':'receipt','key':'k','state':'delivered'},{'event':'bounce','email':'a@x.y',"
		  "'state':'soft'},{'event':'opt_out','phone':'+5511987654321'},{'event':'identity','old':"
		  "'+5511987654321','new':'+5511912345678'},{'event':'sender','state':'banned','error':"
		  "'x'},{'event':'message','id':'2','email':'a@x.y','text':'fora','auto':true}]",
		  "receipt key=k state=delivered; bounce state=soft email=a@x.y; opt_out "
		  "phone=+5511987654321; identity old=+5511987654321 new=+5511912345678; sender "
		  "state=banned error=x; message id=2 text=fora email=a@x.y auto");
	TELLS("{'event':'receipt','key':'k','state':'entregue'}",
		  "unknown: has no state that is known");
	TELLS("{'evento':'x'}", "unknown: no rule knows it");
	TELLS("[]", "unknown: holds nothing that a rule asks for");
}

int
main(void)
{
	RUN_GROUP("receive: whatsapp_cloud, messages", meta_messages);
	RUN_GROUP("receive: whatsapp_cloud, receipts", meta_receipts);
	RUN_GROUP("receive: whatsapp_cloud, echoes, preferences, identities", meta_others);
	RUN_GROUP("receive: whatsapp_cloud, senders; d360", meta_senders);
	RUN_GROUP("receive: evolution", evolution);
	RUN_GROUP("receive: evolution_v1", evolution_v1);
	RUN_GROUP("receive: zapi", zapi);
	RUN_GROUP("receive: waha", waha);
	RUN_GROUP("receive: gupshup", gupshup);
	RUN_GROUP("receive: zenvia", zenvia);
	RUN_GROUP("receive: twilio", twilio);
	RUN_GROUP("receive: resend", resend);
	RUN_GROUP("receive: brevo", brevo);
	RUN_GROUP("receive: sendgrid", sendgrid);
	RUN_GROUP("receive: postmark", postmark);
	RUN_GROUP("receive: mailgun", mailgun);
	RUN_GROUP("receive: webhook", webhook);
	definition_free((Definition *) d);
	return check_result();
}
