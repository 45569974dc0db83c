-- What the providers' calls speak of: the messages by the ids that the providers gave them.

\set ON_ERROR_STOP on

SELECT json_object_agg(lead_id, whatsapp_message_id)
FROM lead_messages
WHERE direcao = 'OUTBOUND' AND whatsapp_message_id IS NOT NULL;
