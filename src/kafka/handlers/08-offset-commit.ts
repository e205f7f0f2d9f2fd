// OffsetCommit. Served: 2 to 9.
//
//   2  retention of the client   6  leader epoch             8  flexible
//   3  throttle time             7  static member            9  members of KIP-848's protocol, with their epoch
//
// Answered when the offsets are on the card, in the same commit as records that come at that time. What a client says of
// retention (2 to 4) does not count, as in Kafka since 2.1: that is offsets.retention.minutes.

import { offsetCommit } from '../../formats/kafka/08-offset-commit.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { commitEach } from '../committed-offsets.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof offsetCommit>;
type Response = ResponseDraft<typeof offsetCommit>;

export const offsetCommitHandler = defineHandler(offsetCommit, answer);

async function answer(request: Request, { door }: Call): Promise<Response> {
  const { groupId, memberId, groupInstanceId: instanceId, generationIdOrMemberEpoch: generation } = request;
  const topics = await commitEach(request.topics, async (offsets) =>
    door.groups.commit(groupId, { memberId, instanceId, generation }, offsets),
  );
  return { topics };
}
